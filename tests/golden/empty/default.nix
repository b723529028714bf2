# Written by nixgen from uv.lock and nixgen.lock; do not edit. To write it again: nixgen generate
{ system ? builtins.currentSystem, nixpkgs ? null }:
(import ./nix/nixgen).project {
  inherit system nixpkgs;
  root = ./.;
  name = "empty";
  base = import ./nix/nixgen/base.nix;
  locks = {
    "nixgen.lock" = "2222222222222222222222222222222222222222222222222222222222222222";
    "uv.lock" = "1111111111111111111111111111111111111111111111111111111111111111";
  };
  wheels = [
  ];
  trees = [
  ];
}
