# The programs that make a venv over an environment, for the project's own code.
base: import ./modules.nix base "nixgen-venv" (import ./texts.nix).own
