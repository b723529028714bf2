# A wheel, installed: one store path for every project that has the same wheel on the same base.
{ base, fetch, builder, root }:
let
  python = import ./python.nix base;
  # A store path's name may hold only these characters.
  safe = text:
    builtins.concatStringsSep "_" (builtins.filter builtins.isString (builtins.split "[^a-zA-Z0-9+._?=-]+" text));
  # Not the project's own libraries: a wheel is the same path in every project.
  rpath = builtins.concatStringsSep ":" base.systemLibraries;
  # A wheel that lies in the project. It is the store path that fetching it would give.
  ofProject = { name, path, sha256 }:
    let place = root + "/${path}";
    in
    if !builtins.pathExists place then
      throw "${path} is not among the project's files that Nix sees; in a flake these are the ones that git knows"
    else if builtins.hashFile "sha256" place != sha256 then
      throw "${path} changed after it was pinned. Restore it, or run: uv lock && nixgen lock && nixgen generate"
    else builtins.path { inherit name sha256; path = place; recursive = false; };
in
{ name, version, file, sha256, url ? null, path ? null, ... }:
python [ "-c" "import install; install.main()" ] {
  name = safe "${name}-${version}";
  inherit file rpath;
  inherit (base) loader libdeflate;
  src =
    if path == null then fetch { inherit url sha256; name = safe file; }
    else ofProject { inherit path sha256; name = safe file; };
  python = base.version;
  PYTHONPATH = builder;
}
