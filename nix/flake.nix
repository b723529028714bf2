# For the debian base: the flake that a project's input `nixpkgs` names. `nix develop` looks for its bash there, and
# finds the base's, without a network.
{
  outputs = { self }:
    let
      pins = import ./base.nix;
      fetch = import ./fetch.nix;
      bash = system: (import ./base/debian.nix { inherit pins system fetch; }).core;
    in
    {
      legacyPackages = builtins.listToAttrs
        (map (system: { name = system; value.bashInteractive = bash system; }) pins.systems);
    };
}
