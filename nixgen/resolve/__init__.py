"""A lock and a target give the packages that uv would install. No Nix, no base."""
