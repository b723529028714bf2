# Python modules with their bytecode, in a store path that holds nothing else: what a builder does not import does not
# change what it builds. `texts` has theirs by file name.
base: name: texts:
import ./python.nix base "compile.py" {
  inherit name;
  modules = builtins.toFile "modules.json" (builtins.toJSON texts);
}
