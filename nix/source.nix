# The project's own code, as it is when it is asked for, in the store: what needs no work tree beside it. Of packages
# only what is importable is copied, so that nothing is built again when something else changes.
{ root, name }:
trees:
let
  relative = path: builtins.substring (builtins.stringLength (toString root) + 1) (-1) (toString path);
  hasPrefix = prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;
  below = tree: top: map (module: if top == "." then module else "${top}/${module}") tree.modules;
  tops = builtins.concatMap (tree: builtins.concatMap (below tree) tree.roots) trees;
  ofTree = place: top: place == top || place == "${top}.py" || hasPrefix "${top}/" place || hasPrefix "${place}/" top;
  # Without a package of its own, a project's code is its Python files, wherever they lie.
  wanted = path: type:
    let place = relative path;
    in
    builtins.match "(.*/)?([.].*|__pycache__|result|result-.*)" place == null
    && (
      if trees == [ ] then place != "nix" && (type == "directory" || builtins.match ".*[.]py" place != null)
      else builtins.any (ofTree place) tops
    );
in
builtins.path { name = "${name}-source"; path = root; filter = wanted; }
