# A derivation that the base's own Python builds: a builder's program by its name, or arguments for Python. The
# environment variables are the attributes: builders read no others. Python finds its library through PYTHONHOME, since
# Nix starts a builder under its base name.
base: script: attributes:
derivation ({
  inherit (base) system;
  builder = "${base.python}/bin/python${base.version}";
  args = [ "-S" "-s" ] ++ (if builtins.isList script then script else [ (import ./script.nix script) ]);
  PYTHONHOME = base.python;
  PYTHONHASHSEED = "0";
} // attributes)
