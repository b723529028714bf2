# Written by nixgen init, once. It is yours now: nixgen will not touch it again.
{
  description = "The environment of demo";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  # To add to them: inputs: let ours = import …; in ours // { … }
  outputs = inputs: import ./nix/nixgen/outputs.nix inputs;
}
