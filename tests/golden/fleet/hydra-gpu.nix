# Written by nixgen plan --for hydra. Yours to change.
# The projects as jobs, for Hydra, nix-eval-jobs and buildbot-nix: nix-eval-jobs --flake .#hydraJobs
{
  description = "The projects of this repository, built by nixgen";
  outputs =
    { self }:
    let
      folders = [
        "a/one"
        "b.two"
      ];
      named = builtins.replaceStrings [ "/" "." ] [ "-" "-" ];
      jobs =
        system:
        builtins.listToAttrs (
          map (folder: {
            name = named folder;
            value = (import (self + "/${folder}") { inherit system; }).root;
          }) folders
        );
    in
    {
      hydraJobs.${"aarch64-linux"} = jobs "aarch64-linux";
    };
}
