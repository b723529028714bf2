# A double of nixpkgs, for tests of nix/base/nixpkgs.nix: a set of the shape that the library reads, with derivations
# that have the right names and outputs and no content. It proves which attributes are read and where they end up in the
# derivation graph, not that nixpkgs builds. NIXGEN_TEST_NIXPKGS names a real nixpkgs-like set to run the same tests on.
{ system, config ? { }, overlays ? [ ] }:
let
  package = name: outputs:
    derivation {
      inherit name system outputs;
      builder = "/no/builder";
    } // { meta.name = name; };
  linux = builtins.match ".*-linux" system != null;
in
rec {
  lib = import ./nixpkgs/lib.nix;
  stdenv = {
    hostPlatform.isLinux = linux;
    cc.cc = package "gcc-15.2.0" [ "out" "lib" ];
    cc.bintools.dynamicLinker =
      if linux then "${package "glibc-2.42" [ "out" ]}/lib/ld-linux.so.2" else throw "there is none on macOS";
  };
  python313 = package "python3-3.13.9" [ "out" ] // { version = "3.13.9"; };
  bash = package "bash-5.3" [ "out" ];
  git = package "git-2.52.0" [ "out" ];
  jq = package "jq-1.8.1" [ "bin" "out" ];
  ffmpeg = package "ffmpeg-8.0" [ "bin" "lib" "out" ];
  cudatoolkit = package "cudatoolkit-13.0" [ "out" ] // { meta.unfree = !(config.allowUnfree or false); };
  python310 = throw "python310 was removed";
  python313Packages.numpy = package "python3.13-numpy" [ "out" ];
}
  // (if linux then {
  glibcLocales = package "glibc-locales-2.42-67" [ "out" ];
  zlib = package "zlib-1.3.1" [ "out" ];
  expat = package "expat-2.7.3" [ "out" ];
  libdeflate = package "libdeflate-1.25" [ "out" ];
  # The real list has zlib, expat and gcc, too.
  pythonManylinuxPackages.manylinux1 =
    [ (package "glib-2.86" [ "bin" "out" ]) (package "libGL-1.7" [ "out" ]) (package "zlib-1.3.1" [ "out" ]) ];
} else { })
  // { nixfmt = package "nixfmt-1.1.0" [ "out" ]; }
