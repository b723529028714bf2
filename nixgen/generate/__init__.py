"""The plan of a project and the Nix files made from it, offline and pure."""
