# Modules that builders import, as one store path that holds nothing else: what a builder does not import does not
# change what it builds.
names:
let files = map (name: "${name}.py") names;
in
builtins.path {
  name = "nixgen-builders";
  path = ./builders/wheel;
  filter = file: _: builtins.elem (baseNameOf file) files;
}
