# Written by nixgen init, once. It is yours now: nixgen will not touch it again.
{
  description = "The environment of demo";

  # The base is Debian's packages, pinned in nixgen.lock. This input only gives `nix develop` its bash.
  inputs.nixpkgs.url = "path:./nix/nixgen";

  # To add to them: inputs: let ours = import …; in ours // { … }
  outputs = inputs: import ./nix/nixgen/outputs.nix inputs;
}
