"""The only code that runs Nix or knows its formats, Nix text among them."""
