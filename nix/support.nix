# The base of a project, from the pins in its base.nix: what all other functions take as `base`.
{ pins, system, nixpkgs }:
if pins.kind == "debian" then import ./base/debian.nix { inherit pins system; fetch = import ./fetch.nix; }
else import ./base/nixpkgs.nix { inherit pins system nixpkgs; }
