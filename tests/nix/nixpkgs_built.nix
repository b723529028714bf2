# A double of nixpkgs that is built: real programs and libraries, those of the debian base's core, in nixpkgs' shape.
# Each package has a prefix of its own, a RUNPATH in every file, and glibc's cache in glibc's own store path.
{ system, core, python, modules }:
let
  evaluated = import ./nixpkgs_double.nix { inherit system; };
  version = "3.13";
  part = name: pattern: needs: derivation {
    inherit system name pattern modules core;
    needs = map (drv: "${drv}/lib") needs;
    builder = python;
    args = [ "-S" "-s" ./nixpkgs_built.py ];
    PYTHONHOME = "${core}/usr";
  };
  glibc = part "glibc-2.41-67"
    "ld-linux.*|lib(c|m|mvec|dl|pthread|rt|util|resolv|anl|nsl|nss_.*|thread_db|c_malloc_debug)\\.so.*" [ ];
  gcc = part "gcc-14.2.0-lib" "lib(stdc..|gcc_s|atomic)\\.so.*" [ glibc ];
  zlib = part "zlib-1.3.1" "libz\\.so.*" [ glibc ];
  expat = part "expat-2.7.1" "libexpat\\.so.*" [ glibc ];
  uuid = part "util-linux-2.41" "lib(mount|blkid|uuid|selinux|pcre2-8)\\.so.*" [ glibc ];
  x11 = part "libX11-1.8" "lib(X.*|xcb|SM|ICE|GL.*)\\.so.*" [ glibc uuid ];
  own = part "python-libraries"
    "lib(ffi|bz2|lzma|sqlite3|ssl|crypto|zstd|readline|n?curses.*|tinfo|db-.*|deflate)(\\.so.*)?" [ glibc zlib ];
in
evaluated // {
  stdenv = {
    hostPlatform.isLinux = true;
    cc.cc = gcc;
    cc.bintools.dynamicLinker = "${glibc}/lib/ld-linux-x86-64.so.2";
  };
  inherit zlib expat;
  util-linux = uuid;
  libdeflate = own;
  pythonManylinuxPackages.manylinux1 = [ gcc zlib expat x11 ];
  python313 = part "python3-${version}.0" "python" [ glibc own zlib expat ] // { version = "${version}.0"; };
  bash = part "bash-5.2" "bash" [ glibc own ];
}
