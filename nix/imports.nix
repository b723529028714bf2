# The check that the environment works: in the sandbox, where nothing of the host can help.
{ base }:
{ name, environment, root, trees, wheels, skip, empty }:
let
  # Only what is importable is copied into the store, so that the check is built again when that changes, not always.
  relevant = path:
    let relative = builtins.substring (builtins.stringLength (toString root) + 1) (-1) path;
    in builtins.any
      (tree: builtins.any
        (top: builtins.any
          (module:
            let wanted = if top == "." then module else "${top}/${module}";
            in relative == wanted
              || relative == "${wanted}.py"
              || hasPrefix "${wanted}/" relative
              || hasPrefix "${relative}/" wanted)
          tree.modules)
        tree.roots)
      trees;
  hasPrefix = prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;
  source = builtins.path {
    name = "${name}-source";
    path = root;
    filter = path: _: relevant (toString path) && builtins.match ".*/__pycache__" (toString path) == null;
  };
in
derivation {
  inherit (base) system;
  name = "${name}-imports";
  builder = base.bash;
  args = [ "-c" "export HOME=$TMPDIR; exec ${environment}/bin/python ${./builders/imports.py}" ];
  trees = builtins.toJSON (map (tree: { inherit (tree) name modules; }) trees);
  NIXGEN_ROOT = if trees == [ ] then "" else source;
  # What shared objects ask for is looked for in the wheels and in these folders; macOS has its own ways.
  wheels = builtins.toJSON (map (wheel: [ wheel.name wheel.drv ]) wheels);
  search = builtins.concatStringsSep ":"
    (if base.loader == "" then [ ] else base.libraries ++ [ (builtins.dirOf base.loader) ]);
  lib = import ./builders.nix [ "elf" "needs" ];
  debian = if base.interpreter == "" then "" else "1";
  skip = toString skip;
  empty = if empty then "1" else "";
  PYTHONHASHSEED = "0";
}
