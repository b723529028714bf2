# The environment: a venv of links to the installed wheels.
{ base, builder }:
{ name, wheels, trees, prefer, launcher, seeding ? false }:
import ./python.nix base "environment.py" {
  name = "${name}-environment";
  lib = builder;
  passAsFile = [ "plan" ];
  plan = builtins.toJSON {
    inherit name launcher trees prefer;
    python = base.version;
    # Of no use where it is the loader that programs of wheels have already.
    interpreter = if base.interpreter == base.loader then "" else base.interpreter;
    inherit (base) assigned modules;
    kept = import ./script.nix "kept.py";
    # nixgen.seed_everything, for the project's own programs.
    seeding = if seeding then builtins.toFile "nixgen-seeding" (import ./texts.nix).runs."seeding.py" else null;
    wheels = map (wheel: { inherit (wheel) name; path = wheel.drv; }) wheels;
    # What a notebook's kernel is started with.
    kernel =
      if builtins.any (wheel: wheel.name == "ipykernel") wheels then { inherit (base) tools variables; } else null;
  };
}
