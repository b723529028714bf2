# The program that installs wheels: the modules of ./builders/wheel with their bytecode.
{ base }:
import ./python.nix base ./builders/compile.py { name = "nixgen-wheel-builder"; src = import ./builders.nix; }
