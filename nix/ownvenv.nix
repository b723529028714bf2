# The programs that make a venv over an environment, for the project's own code.
builtins.path {
  name = "nixgen-venv";
  path = ./builders/own;
  filter = file: type: type == "regular" && builtins.match ".*[.]py" file != null;
}
