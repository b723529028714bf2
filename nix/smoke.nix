# The commands of `smoke`, under [tool.nixgen] in pyproject.toml, as a check: each runs in the sandbox, in a copy of the
# project's code, in the environment.
{ base }:
{ name, environment, root, trees, variables, commands }:
derivation {
  inherit (base) system bash;
  inherit environment;
  name = "${name}-smoke";
  builder = base.bash;
  args = [ "-c" "export HOME=$TMPDIR; exec ${environment}/bin/python ${./builders/smoke.py}" ];
  source = import ./source.nix { inherit root name; } trees;
  packaged = if trees == [ ] then "" else "1";
  tools = builtins.concatStringsSep ":" base.tools;
  variables = builtins.toJSON variables;
  passAsFile = [ "commands" ];
  commands = builtins.toJSON commands;
  PYTHONHASHSEED = "0";
}
