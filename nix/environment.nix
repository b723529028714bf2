# The environment: a venv of links to the installed wheels.
{ base }:
{ name, wheels, trees, prefer, launcher }:
import ./python.nix base ./builders/environment.py {
  name = "${name}-environment";
  passAsFile = [ "plan" ];
  plan = builtins.toJSON {
    inherit name launcher trees prefer;
    python = base.version;
    wheels = map (wheel: { inherit (wheel) name; path = wheel.drv; }) wheels;
  };
}
