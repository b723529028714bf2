"""The only code that runs Nix or knows its formats."""
