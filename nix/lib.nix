# The Python modules that several builders share, as one store path that holds nothing else.
builtins.path {
  name = "nixgen-builders";
  path = ./builders/lib;
  filter = file: type: type == "regular" && builtins.match ".*[.]py" file != null;
}
