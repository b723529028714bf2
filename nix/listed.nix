# Whether a path is in this folder's list, or is a folder that leads to what is: not so what tools and systems leave.
path:
let
  inherit (builtins) any filter isString readFile split stringLength substring;
  relative = substring (stringLength (toString ./.) + 1) (-1) path;
  listed = [ "files" ] ++ filter (line: isString line && line != "") (split "\n" (readFile ./files));
in
any (name: name == relative || substring 0 (stringLength relative + 1) name == "${relative}/") listed
