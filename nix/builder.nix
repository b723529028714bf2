# The program that installs wheels, and the modules that other builders share with it.
{ base }:
let
  names = [ "archive" "bytecode" "compiled" "elf" "entrypoints" "install" "libraries" "relink" "workers" ];
  wanted = builtins.listToAttrs (map (name: { name = "${name}.py"; value = null; }) names);
in
import ./modules.nix base "nixgen-wheel-builder" (builtins.intersectAttrs wanted (import ./texts.nix).wheel)
