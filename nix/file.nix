# A wheel or source distribution: fetched, or, where it lies in the project, the store path that fetching it would give.
{ fetch, root }:
{ name, sha256, url, path }:
let place = root + "/${path}"; in
if path == null then fetch { inherit url sha256 name; }
else if !builtins.pathExists place then
  throw "${path} is missing, or git does not know it\n  hint: git add ${path}"
else if builtins.hashFile "sha256" place != sha256 then
  throw "${path} changed after it was pinned\n  hint: restore it, or: uv lock && nixgen sync"
else builtins.path { inherit name sha256; path = place; recursive = false; }
