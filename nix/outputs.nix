# The outputs of a project's flake, from its inputs: what flake.nix calls, so that new ones reach every project.
{ nixpkgs ? null, ... }:
let
  pins = import ./base.nix;
  # The debian base's input nixpkgs is only for `nix develop`.
  given = if pins.kind == "debian" then { } else { inherit nixpkgs; };
  forEach = attributes: builtins.listToAttrs (map
    (system: { name = system; value = attributes (import ../../default.nix ({ inherit system; } // given)); })
    pins.systems);
  each = of: project: builtins.mapAttrs (_: of) project.environments;
in
{
  packages = forEach (project: each (one: one.environment) project // project.services // {
    default = project.environment;
    models = project.models-all;
    data = project.data-all;
  });
  apps = forEach (project: project.apps);
  devShells = forEach (project: each (one: one.shell) project // { default = project.shell; });
  checks = forEach (project: project.checks);
  formatter = forEach (project: project.formatter);
}
