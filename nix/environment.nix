# The environment: a venv of links to the installed wheels.
{ base }:
{ name, wheels, trees, prefer, launcher, seeding ? false }:
let
  # In a project it lies beside this file; in nixgen's own repository it is a part of the package.
  module = builtins.path {
    name = "nixgen-seeding";
    path = if builtins.pathExists ./seeding.py then ./seeding.py else ../nixgen/runs/seeding.py;
  };
in
import ./python.nix base ./builders/environment.py {
  name = "${name}-environment";
  lib = import ./builders.nix [ "bytecode" "entrypoints" "relink" ];
  passAsFile = [ "plan" ];
  plan = builtins.toJSON {
    inherit name launcher trees prefer;
    python = base.version;
    # Of no use where it is the loader that programs of wheels have already.
    interpreter = if base.interpreter == base.loader then "" else base.interpreter;
    inherit (base) assigned modules;
    # nixgen.seed_everything, for the project's own programs.
    seeding = if seeding then "${module}" else null;
    wheels = map (wheel: { inherit (wheel) name; path = wheel.drv; }) wheels;
    # What a notebook's kernel is started with.
    kernel =
      if builtins.any (wheel: wheel.name == "ipykernel") wheels then { inherit (base) tools variables; } else null;
  };
}
