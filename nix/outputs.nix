# The outputs of a project's flake, from its inputs: what flake.nix calls, so that new ones reach every project.
{ nixpkgs ? null, ... }:
let
  pins = import ./base.nix;
  # The debian base's input nixpkgs is only for `nix develop`.
  given = if pins.kind == "debian" then { } else { inherit nixpkgs; };
  place = ../../default.nix;
  missing = "default.nix is missing, or git does not know it. Run: git add default.nix, or: nixgen sync";
  refused = builtins.mapAttrs (_: import ./refused.nix missing) {
    packages.default = null;
    apps.default = null;
    devShells.default = null;
    checks.default = null;
    formatter.default = null;
  };
  project = system:
    if builtins.pathExists place then import place ({ inherit system; } // given) else { outputs = refused; };
  projects = builtins.listToAttrs (map (system: { name = system; value = project system; }) pins.systems);
in
# Made by builtins, as what is refused (refused.nix): of what stands in no file Nix shows no lines.
builtins.mapAttrs (output: _: builtins.mapAttrs (_: project: project.outputs.${output}) projects) {
  packages = { };
  apps = { };
  devShells = { };
  checks = { };
  formatter = { };
}
