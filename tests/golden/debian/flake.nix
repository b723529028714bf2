# Written by nixgen init, once. It is yours now: nixgen will not touch it again.
{
  description = "The environment of demo";

  # The base is Debian's packages, pinned in nixgen.lock. This input only gives `nix develop` its bash.
  inputs.nixpkgs.url = "path:./nix/nixgen";

  outputs =
    { self, ... }:
    let
      systems = (import ./nix/nixgen/base.nix).systems;
      forEach =
        f:
        builtins.listToAttrs (
          map (system: {
            name = system;
            value = f (import ./. { inherit system; });
          }) systems
        );
    in
    {
      packages = forEach (
        project:
        project.services
        // {
          default = project.environment;
          models = project.models-all;
          data = project.data-all;
        }
      );
      apps = forEach (project: project.apps);
      devShells = forEach (project: { default = project.shell; });
      checks = forEach (project: project.checks);
      formatter = forEach (project: project.formatter);
    };
}
