# `nix fmt` where the base has no Nix formatter: the white space of .nix files, and ruff when the project has it.
{ base }:
{ environment }:
import ./python.nix base "formatter.py" {
  name = "nixgen-format";
  inherit environment;
  interpreter = "${base.python}/bin/python${base.version}";
  program = import ./script.nix "format.py";
}
