"""The machine: processes, files, the network, git. Knows nothing of Nix, uv or a project."""
