# Real programs and libraries in nixpkgs' shape, made of Debian's: each package has a store path of its own, and each of
# its files a RUNPATH to those that it needs. `debian` beside this file is the nix/nixgen of a project on the debian
# base, with compilers and more packages than its core has (test_nixpkgs_built.py).
{ system ? builtins.currentSystem, config ? { }, overlays ? [ ] }:
let
  lib = import ./lib.nix;
  pins = import ./debian/base.nix;
  debian = import ./debian/base/debian.nix { inherit pins system; fetch = import ./debian/fetch.nix; };
  inherit (debian) core;
  inherit (debian.built) extra compilers;
  pinned = builtins.filter (deb: deb.name == "python3.13" && deb.system == system) pins.debs;
  version = builtins.head (builtins.match "([0-9.]+)-.*" (builtins.head pinned).version);

  builders = builtins.path {
    name = "nixpkgs-builders";
    path = ./.;
    filter = path: _: builtins.match ".*/(package|starter)[.]py" path != null;
  };
  package = name: what:
    derivation
      ({
        inherit name system;
        trees = [ core extra ];
        builder = "${core}/usr/bin/python3.13";
        args = [ "-S" "-s" "${builders}/package.py" ];
        modules = ./debian/builders/wheel;
        PYTHONHOME = "${core}/usr";
        libraries = "";
        programs = [ ];
        wrapped = [ ];
      } // what // { needs = map (drv: "${lib.getLib drv}/lib") (what.needs or [ ]); })
    // { meta.name = name; };

  glibc = package "glibc-2.41-67" {
    libraries =
      "ld-linux.*|lib(c|m|mvec|dl|pthread|rt|util|resolv|anl|nsl|nss_.*|thread_db|c_malloc_debug|BrokenLocale)[.]so.*";
    folders = [ "gconv" ];
  };
  gcc = package "gcc-14.2.0" {
    outputs = [ "out" "lib" ];
    libraries = "lib(stdc..|gcc_s|atomic)[.]so.*";
    needs = [ glibc ];
  };
  library = name: libraries: needs: package name { inherit libraries; needs = [ glibc gcc ] ++ needs; };
  program = name: programs: needs: package name {
    inherit programs;
    outputs = [ "bin" "out" ];
    needs = [ glibc ] ++ needs;
  };

  zlib = library "zlib-1.3.1" "libz[.]so.*" [ ];
  expat = library "expat-2.7.1" "libexpatw?[.]so.*" [ ];
  libffi = library "libffi-3.4.8" "libffi[.]so.*" [ ];
  bzip2 = library "bzip2-1.0.8" "libbz2[.]so.*" [ ];
  xz = library "xz-5.8.1" "liblzma[.]so.*" [ ];
  zstd = library "zstd-1.5.7" "libzstd[.]so.*" [ ];
  ncurses = library "ncurses-6.5" "lib(ncurses|panel|form|menu|tinfo|tic)w?[.]so.*" [ ];
  readline = library "readline-8.2" "lib(readline|history)[.]so.*" [ ncurses ];
  openssl = library "openssl-3.5.9" "lib(ssl|crypto)[.]so.*" [ zlib zstd ];
  sqlite = library "sqlite-3.46.1" "libsqlite3[.]so.*" [ zlib ];
  db = library "db-5.3.28" "libdb-.*[.]so" [ ];
  pcre2 = library "pcre2-10.46" "libpcre2-8[.]so.*" [ ];
  libselinux = library "libselinux-3.8.1" "libselinux[.]so.*" [ pcre2 ];
  util-linux = library "util-linux-2.41" "lib(mount|blkid|uuid)[.]so.*" [ libselinux ];
  glib = library "glib-2.84.4" "lib(glib|gobject|gthread|gmodule|gio)-2[.]0[.]so.*"
    [ pcre2 libffi zlib util-linux libselinux ];
  x11 = library "libX11-1.8" "lib(X.*|xcb|SM|ICE)[.]so.*" [ util-linux ];
  libGL = library "libGL-1.7" "libGL.*[.]so.*" [ x11 ];
  libdeflate = library "libdeflate-1.23" "libdeflate[.]so.*" [ ];
  acl = library "acl-2.3.2" "lib(acl|attr|cap)[.]so.*" [ ];
  gmp = library "gmp-6.3.0" "libgmp[.]so.*" [ ];
  # As nixpkgs' own: scripts that start the compilers of another store path.
  wrapper = name: wrapped: package name { inherit wrapped compilers; shell = "${bash}/bin/bash"; };
  bash = package "bash-5.2" { programs = [ "bash" ]; needs = [ glibc ncurses ]; };
  coreutils = program "coreutils-9.7" [ "cat" "cp" "env" "ls" "mkdir" "rm" "sort" "uname" ]
    [ acl libselinux gmp openssl ];
  jq = program "jq-1.7.1" [ "jq" ] [ (library "libjq-1.7.1" "lib(jq|onig)[.]so.*" [ ]) ];

  # Files alone, which images of containers have.
  files = name: command: derivation {
    inherit name system;
    builder = "${core}/usr/bin/bash";
    args = [ "-ec" "PATH=${core}/usr/libexec/applets; ${command}" ];
  };

  python313 = package "python3-${version}" {
    libraries = "libpython3[.]13[.]so.*";
    programs = [ "python3.13" ];
    headers = "${compilers}/usr/include/python3.13";
    needs = [ glibc zlib expat libffi bzip2 xz ncurses readline openssl sqlite db util-linux libselinux ];
  } // { inherit version; };
in
{
  inherit lib zlib expat libffi libGL util-linux libdeflate python313 bash coreutils jq;
  tzdata = files "tzdata-2026a" "mkdir -p $out/share && cp -r ${core}/usr/share/zoneinfo $out/share";
  cacert = files "nss-cacert-3.120" "mkdir -p $out/etc/ssl/certs && echo PEM > $out/etc/ssl/certs/ca-bundle.crt";
  stdenv = {
    hostPlatform.isLinux = true;
    initialPath = [ coreutils bash ];
    cc = wrapper "gcc-wrapper-14.2.0" [ "cc" "c++" "g++" "gcc" "x86_64-linux-gnu-gcc" ] // {
      cc = gcc;
      bintools = wrapper "binutils-wrapper-2.44" [ "ar" "as" "ld" "nm" "ranlib" "strip" ] // {
        dynamicLinker = "${glibc}/lib/ld-linux-x86-64.so.2";
      };
    };
  };
  pythonManylinuxPackages.manylinux1 = [ gcc glibc x11 libGL glib zlib expat ];
  # glibc has none here, as nixpkgs' has none: what wants libcrypt.so.1 asks for it by this name.
  libxcrypt-legacy = library "libxcrypt-4.4.38" "libcrypt[.]so.*" [ ];
  gnumake = wrapper "gnumake-4.4.1" [ "make" ];
  pkg-config = wrapper "pkg-config-wrapper-0.29.2" [ "pkg-config" ];
  patchelf = program "patchelf-0.18.0" [ "patchelf" ] [ gcc ];
  bashInteractive = package "bash-interactive-5.2" { programs = [ "bash" ]; needs = [ glibc ncurses readline ]; };
}
