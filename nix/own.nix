# The environment together with the project's own code: `source` in the store.
{ base }:
{ name, environment, trees, built, source }:
if trees == [ ] && built == [ ] then environment
else
  import ./python.nix base [ "-c" "import ownvenv; ownvenv.main()" ] {
    name = "${name}-environment";
    project = name;
    inherit environment source;
    # What is compiled is taken as it was built.
    built = builtins.toJSON { roots = [ ]; modules = builtins.concatMap (row: row.modules) built; };
    roots = builtins.toJSON (builtins.concatMap (tree: tree.roots) trees);
    PYTHONPATH = import ./ownvenv.nix base;
    allowSubstitutes = false;
  }
