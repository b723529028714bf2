# A wheel, installed: one store path for every project that has the same wheel on the same base.
{ base, fetch, builder, root }:
let
  python = import ./python.nix base;
  # A store path's name may hold only these characters.
  safe = text:
    builtins.concatStringsSep "_" (builtins.filter builtins.isString (builtins.split "[^a-zA-Z0-9+._?=-]+" text));
  # Not the project's own libraries: a wheel is the same path in every project.
  rpath = builtins.concatStringsSep ":" base.systemLibraries;
  get = import ./file.nix { inherit fetch root; };
in
{ name, version, file, sha256, url ? null, path ? null, ... }:
python [ "-c" "import install; install.main()" ] {
  name = safe "${name}-${version}";
  inherit file rpath;
  inherit (base) loader libdeflate;
  src = get { inherit path url sha256; name = safe file; };
  python = base.version;
  PYTHONPATH = builder;
}
