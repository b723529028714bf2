"""What source distributions need to build: found in Nix's sandbox, resolved by uv, pinned in nixgen.lock."""
