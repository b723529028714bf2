# The outputs of a project's flake, from its inputs: what flake.nix calls, so that new ones reach every project.
{ nixpkgs ? null, ... }:
let
  pins = import ./base.nix;
  # The debian base's input nixpkgs is only for `nix develop`.
  given = if pins.kind == "debian" then { } else { inherit nixpkgs; };
  place = ../../default.nix;
  missing = "default.nix is missing, or git does not know it\n  hint: git add default.nix, or: nixgen sync";
  refused = builtins.mapAttrs (_: import ./refused.nix missing) {
    packages.default = null;
    apps.default = null;
    devShells.default = null;
    checks.default = null;
    formatter.default = null;
  };
  project = system:
    if builtins.pathExists place then import place ({ inherit system; } // given)
    else { outputs = refused; environment = refused.packages.default; };
  # Of a system that nixgen knows and the project does not serve, `nix flake check` and `show` see what evaluates. Who
  # builds, enters or runs it reads one of these attributes (Nix 2.8 the first): the sentence of project.nix.
  elsewhere = system:
    let
      told = builtins.mapAttrs (_: _: (project system).environment);
      meta = told { outputsToInstall = null; mainProgram = null; };
      default = nothing // told { outputName = null; } // { inherit meta; };
    in
    { outputs = { packages = { inherit default; }; devShells = { inherit default; }; }; };
  nothing = derivation { name = "not-set-up"; system = "none"; builder = "none"; };
  named = systems: of: builtins.listToAttrs (map (system: { name = system; value = of system; }) systems);
  projects = named [ "aarch64-darwin" "aarch64-linux" "x86_64-darwin" "x86_64-linux" ] elsewhere // served;
  served = named pins.systems project;
in
# Made by builtins, as what is refused (refused.nix): of what stands in no file Nix shows no lines.
builtins.mapAttrs (output: from: builtins.mapAttrs (_: project: project.outputs.${output}) from) {
  packages = projects;
  devShells = projects;
  apps = served;
  checks = served;
  formatter = served;
}
