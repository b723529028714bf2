# What counts when a project is checked: the derivations that are built here, by name, and one that links the results.
# `alone` and, in sets, `parts` are the results; `wheels` and what is `built` of the base lie in these, or made them.
# `more` are wheels of environments with a name: those that `wheels` has, too, are there once.
{ base }:
{ name, alone, built, parts, wheels, more }:
let
  # What comes before the first dot is a set's name, so that no two keys are one.
  under = prefix: of:
    builtins.listToAttrs (map
      (key: { name = "${prefix}.${key}"; value = of.${key}; })
      (builtins.attrNames of));
  results = builtins.foldl' (found: part: found // under part parts.${part}) alone (builtins.attrNames parts);
  others = builtins.foldl'
    (found: label: found // under "${label}.wheels" (builtins.listToAttrs (map
      (key: { name = key; value = more.${label}.${key}; })
      (builtins.filter
        (key: !wheels ? ${key} || wheels.${key}.drvPath != more.${label}.${key}.drvPath)
        (builtins.attrNames more.${label})))))
    { }
    (builtins.attrNames more);
  root = import ./python.nix base "folder.py" {
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
    (results // under "wheels" wheels // others // under "base" built // { inherit root; });
}
