# A wheel or source distribution: fetched, or, where it lies in the project, the store path that fetching it would give.
{ fetch, root }:
{ name, sha256, url, path }:
let place = root + "/${path}"; in
if path == null then fetch { inherit url sha256 name; }
else if !builtins.pathExists place then
  throw "${path} is not among the project's files that Nix sees; in a flake these are the ones that git knows"
else if builtins.hashFile "sha256" place != sha256 then
  throw "${path} changed after it was pinned. Restore it, or run: uv lock && nixgen sync"
else builtins.path { inherit name sha256; path = place; recursive = false; }
