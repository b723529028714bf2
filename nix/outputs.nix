# The outputs of a project's flake, from its inputs: what flake.nix calls, so that new ones reach every project.
{ nixpkgs ? null, ... }:
let
  pins = import ./base.nix;
  # The debian base's input nixpkgs is only for `nix develop`.
  given = if pins.kind == "debian" then { } else { inherit nixpkgs; };
  projects = builtins.listToAttrs (map
    (system: { name = system; value = import ../../default.nix ({ inherit system; } // given); })
    pins.systems);
  each = output: builtins.mapAttrs (_: project: project.outputs.${output}) projects;
in
{
  packages = each "packages";
  apps = each "apps";
  devShells = each "devShells";
  checks = each "checks";
  formatter = each "formatter";
}
