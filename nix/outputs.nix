# The outputs of a project's flake, from its inputs: what flake.nix calls, so that new ones reach every project.
{ nixpkgs ? null, ... }:
let
  pins = import ./base.nix;
  # The debian base's input nixpkgs is only for `nix develop`.
  given = if pins.kind == "debian" then { } else { inherit nixpkgs; };
  projects = builtins.listToAttrs (map
    (system: { name = system; value = import ../../default.nix ({ inherit system; } // given); })
    pins.systems);
in
# Made by builtins, as what is refused (project.nix): of what stands in no file Nix shows no lines.
builtins.mapAttrs (output: _: builtins.mapAttrs (_: project: project.outputs.${output}) projects) {
  packages = { };
  apps = { };
  devShells = { };
  checks = { };
  formatter = { };
}
