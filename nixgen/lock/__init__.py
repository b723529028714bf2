"""nixgen.lock: its form, making it, whether it is current. Never writes Nix."""
