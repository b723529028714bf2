# What counts when a project is checked: the derivations that are built here, by name, and one that links the results.
# `alone` and, in sets, `parts` are the results; `wheels` and what is `built` of the base lie in these, or made them.
{ base }:
{ name, alone, built, parts, wheels }:
let
  # What comes before the first dot is a set's name, so that no two keys are one.
  under = prefix: of:
    builtins.listToAttrs (map
      (key: { name = "${prefix}.${key}"; value = of.${key}; })
      (builtins.attrNames of));
  results = builtins.foldl' (found: part: found // under part parts.${part}) alone (builtins.attrNames parts);
  root = import ./python.nix base ./builders/folder.py {
    name = "${name}-root";
    passAsFile = [ "plan" ];
    plan = builtins.toJSON {
      links = map (key: [ key "${results.${key}}" ]) (builtins.attrNames results);
      texts = [ ];
    };
  };
in
{
  inherit root;
  recipes = builtins.mapAttrs
    (_: drv: { drv = drv.drvPath; out = drv.outPath; })
    (results // under "wheels" wheels // under "base" built // { inherit root; });
}
