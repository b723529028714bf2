# The environment together with the project's own code: `source` in the store.
{ base }:
{ name, environment, trees, source }:
if trees == [ ] then environment
else
  import ./python.nix base [ "-c" "import ownvenv; ownvenv.main()" ] {
    name = "${name}-environment";
    project = name;
    inherit environment source;
    roots = builtins.toJSON (builtins.concatMap (tree: tree.roots) trees);
    PYTHONPATH = import ./ownvenv.nix;
    allowSubstitutes = false;
  }
