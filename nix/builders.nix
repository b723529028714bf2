# The modules that install a wheel, as one store path that holds nothing else.
builtins.path {
  name = "nixgen-wheel-builder";
  path = ./builders/wheel;
  filter = file: type: type == "regular" && builtins.match ".*[.]py" file != null;
}
