# The commands of `smoke`, under [tool.nixgen] in pyproject.toml, as a check: each runs in the sandbox, in a copy of the
# project's code, in the environment.
{ base }:
{ name, environment, source, trees, built, variables, commands }:
derivation {
  inherit (base) system bash;
  inherit environment source;
  name = "${name}-smoke";
  builder = base.bash;
  args = [ "-c" "export HOME=$TMPDIR; exec ${environment}/bin/python ${import ./script.nix "smoke.py"}" ];
  roots = builtins.toJSON (builtins.concatMap (tree: tree.roots) trees);
  built = builtins.toJSON { roots = [ ]; modules = builtins.concatMap (row: row.modules) built; };
  packaged = if trees == [ ] && built == [ ] then "" else "1";
  venv = import ./ownvenv.nix base;
  # Last: what the project's scripts and its tools take as there (sed, basename), where nothing better is.
  inherit (base) applets;
  tools = builtins.concatStringsSep ":" base.tools;
  variables = builtins.toJSON variables;
  passAsFile = [ "commands" ];
  commands = builtins.toJSON commands;
  PYTHONHASHSEED = "0";
}
