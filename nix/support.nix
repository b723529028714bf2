# The base of a project, from the pins in its base.nix: what all other functions take as `base`.
{ pins, system, name, nixpkgs }:
if !builtins.elem system pins.systems then
  throw
    ("${name} is not set up for ${system}, only for ${builtins.concatStringsSep ", " pins.systems}. "
      + "Add it to systems under [tool.nixgen] in pyproject.toml, then run: nixgen sync")
else if pins.kind == "debian" then import ./base/debian.nix { inherit pins system; fetch = import ./fetch.nix; }
else import ./base/nixpkgs.nix { inherit pins system nixpkgs; }
