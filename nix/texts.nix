# The builders and what they install, as texts: folder → name → text. In a project
# they are one file (nixgen/nix/vendored.py), and these are places in it.
let
  inherit (builtins) attrNames filter listToAttrs match readDir readFile;
  of = folder:
    let found = readDir folder; in
    listToAttrs (map (name: { inherit name; value = readFile (folder + "/${name}"); })
      (filter (name: found.${name} == "regular" && match "[a-z_].*[a-z]" name != null) (attrNames found)));
in
{
  builders = of ./builders;
  own = of ./builders/own;
  source = of ./builders/source;
  wheel = of ./builders/wheel;
  # Of the package: what services start with, what finds a GPU's driver, what seeds, and what makes images.
  guard = of ../nixgen/guard;
  oci = of ../nixgen/oci;
  nix = { "base32.py" = readFile ../nixgen/nix/base32.py; };
  machine = { "driver.py" = readFile ../nixgen/machine/driver.py; };
  runs = { "seeding.py" = readFile ../nixgen/runs/seeding.py; };
  data = { "othertools.json" = readFile ./othertools.json; };
}
