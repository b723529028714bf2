"""OCI images of environments, services and models: built by Nix, and written as layouts and archives."""
