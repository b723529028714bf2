# The environment: a venv of links to the installed wheels.
{ base }:
{ name, wheels, trees, prefer, launcher }:
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
    wheels = map (wheel: { inherit (wheel) name; path = wheel.drv; }) wheels;
  };
}
