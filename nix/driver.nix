# What finds a GPU's driver when a shell or a service starts, as a file. In a project it lies beside this one; in
# nixgen's own repository it is a part of the package.
builtins.path {
  name = "nixgen-driver.py";
  path = if builtins.pathExists ./driver.py then ./driver.py else ../nixgen/machine/driver.py;
}
