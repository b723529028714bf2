# The program that installs wheels: its modules with their bytecode.
{ base }:
import ./python.nix base ./builders/compile.py {
  name = "nixgen-wheel-builder";
  src = import ./builders.nix [ "archive" "bytecode" "elf" "entrypoints" "install" "relink" "workers" ];
}
