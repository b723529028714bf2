# A builder's program, by its name: a file in the store.
name: builtins.toFile name (import ./texts.nix).builders.${name}
