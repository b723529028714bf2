# The project's own code, as it is when it is asked for, in the store: what needs no work tree beside it. Of packages
# only what is importable is copied, so that nothing is built again when something else changes. Without a package, it
# is what git knows, or what is not hidden, but for what nixgen writes (the record of a build cannot be a part of it).
# `folder` is the part of the project that is wanted. Of a package beside the project, in the same repository, the code
# is there, too: then what is given is the project's folder in the copy.
{ root, name, folder ? "." }:
trees:
let
  inherit (builtins) any concatMap concatStringsSep elem elemAt fetchGit filter foldl' genList isString length match;
  inherit (builtins) pathExists split storeDir stringLength substring;
  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
  parts = text: filter (part: isString part && part != "" && part != ".") (split "/" text);
  init = list: genList (elemAt list) (length list - 1);
  normal = text: concatStringsSep "/"
    (foldl' (done: part: if part == ".." then init done else done ++ [ part ]) [ ] (parts text));
  below = tree: top: map (module: normal "${inner}/${top}/${module}") tree.modules;
  tops = concatMap (tree: concatMap (below tree) tree.roots) trees;
  # How far the roots lead up, and where the project lies in what is copied.
  up = foldl' (most: count: if count > most then count else most) 0
    (map (top: length (filter (part: part == "..") (parts top))) (concatMap (tree: tree.roots) trees));
  climb = folder: count: if count == 0 then folder else climb (dirOf folder) (count - 1);
  whole = climb place up;
  inner = if up == 0 then "" else substring (stringLength (toString whole) + 1) (-1) (toString place);
  ofTree = place: top: place == top || place == "${top}.py" || hasPrefix "${top}/" place || hasPrefix "${place}/" top;

  # A flake is evaluated from a copy of what git knows; else git is asked.
  copied = hasPrefix "${storeDir}/" (toString root);
  repository = folder:
    if pathExists (folder + "/.git") then folder
    else if toString folder == "/" then null
    else repository (dirOf folder);
  top = repository root;
  inside = substring (stringLength (toString top)) (-1) (toString root);
  place = if trees != [ ] || copied || top == null then root else fetchGit { url = toString top; } + inside;
  hidden = trees == [ ] && !copied && top == null;

  ours = [ "default.nix" "flake.lock" "nix/nixgen" "nixgen.hashes.json" "nixgen.lock" ];
  left = "[.](git|venv.*|direnv|tox|nox|cache|.*_cache|DS_Store|ipynb_checkpoints)|__pycache__|result|result-.*";
  wanted = path: type:
    let
      relative = substring (stringLength (toString whole) + 1) (-1) (toString path);
      last = baseNameOf relative;
    in
    match left last == null
    && !(hasPrefix "." last && (hidden || trees != [ ]))
    && (if trees == [ ] then !elem relative ours else any (ofTree relative) tops);
  copy = builtins.path {
    name = "${name}-source";
    path = if folder == "." then whole else whole + "/${folder}";
    filter = wanted;
  };
in
if inner == "" then copy else "${copy}/${inner}"
