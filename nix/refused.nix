# What is given by name, each value a refusal with this sentence. What builtins make and call has no place in a file:
# Nix shows the sentence, and no lines of files around it.
sentence: values:
builtins.mapAttrs (_: builtins.addErrorContext "")
  (builtins.mapAttrs (_: throw) (builtins.mapAttrs (_: _: sentence) values))
