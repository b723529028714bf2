# A wheel, installed: one store path for every project that has the same wheel on the same base.
{ base, fetch }:
{ name, version, file, sha256, url, ... }:
let
  # A store path's name may hold only these characters.
  safe = text: builtins.concatStringsSep "_" (builtins.filter builtins.isString (builtins.split "[^a-zA-Z0-9+._?=-]+" text));
in
import ./python.nix base ./builders/wheel.py {
  name = safe "${name}-${version}";
  inherit file;
  inherit (base) patchelf loader;
  src = fetch { inherit url sha256; name = safe file; };
  lib = import ./lib.nix;
  python = base.version;
  rpath = builtins.concatStringsSep ":" base.libraries;
}
