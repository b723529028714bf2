# The development shell: a derivation that `nix develop` and `nix-shell` enter. Neither needs nixpkgs' stdenv: both
# source $stdenv/setup, and want bash as the builder.
{ base }:
{ name, environment, launcher, count, variables }:
derivation {
  inherit (base) system keep;
  name = "${name}-shell";
  outputs = [ "out" ];
  builder = base.bash;
  args = [ "-c" "echo ${environment} > $out" ];
  stdenv = import ./python.nix base ./builders/setup.py {
    name = "${name}-setup";
    project = name;
    inherit (base) bash;
    inherit environment;
    tools = builtins.concatStringsSep ":" base.tools;
    hook = ./builders/hook.sh;
    title = "${name}: Python ${base.version}, ${toString count} packages";
    variables = builtins.toJSON variables;
    private = ./builders/private.py;
    python = "${launcher}/bin/python${base.version}";
  };
  shellHook = "nixgen_enter";
}
