# The check that the environment works, and the project's own code in it: in the sandbox, where nothing of the host can
# help. `own` is the environment with that code.
{ base }:
{ name, environment, own, trees, wheels, skip, empty }:
let texts = (import ./texts.nix).wheel; in
derivation {
  inherit (base) system;
  name = "${name}-imports";
  builder = base.bash;
  args = [ "-c" "export HOME=$TMPDIR; exec ${own}/bin/python -B ${import ./script.nix "imports.py"}" ];
  trees = builtins.toJSON (map (tree: { inherit (tree) name modules; }) trees);
  inherit environment;
  # What shared objects ask for is looked for in the wheels and in these folders; macOS has its own ways.
  wheels = builtins.toJSON (map (wheel: [ wheel.name wheel.drv ]) wheels);
  search = builtins.concatStringsSep ":"
    (if base.loader == "" then [ ] else base.libraries ++ [ (builtins.dirOf base.loader) ]);
  lib = import ./modules.nix base "nixgen-imports" { inherit (texts) "elf.py" "needs.py"; };
  debian = if base.interpreter == "" then "" else "1";
  skip = toString skip;
  empty = if empty then "1" else "";
  PYTHONHASHSEED = "0";
  allowSubstitutes = false;
}
