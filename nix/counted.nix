# What counts when a project is checked: the derivations that are built here, by name, and one that links the results.
# `alone` and, in sets, `parts` are the results; the wheels of the environment `own` and of those in `named`, their byte
# code where it counts, and what is `built` of the base lie in these, or made them. What another environment has as
# `own` has it is there once.
{ base }:
{ name, alone, built, parts, own, named }:
let
  # What comes before the first dot is a set's name, so that no two keys are one.
  under = prefix: of:
    builtins.listToAttrs (map
      (key: { name = "${prefix}.${key}"; value = of.${key}; })
      (builtins.attrNames of));
  results = builtins.foldl' (found: part: found // under part parts.${part}) alone (builtins.attrNames parts);
  # The derivations by name that `of` gives for an environment.
  each = prefix: of:
    let mine = of own; in
    under prefix mine // builtins.foldl'
      (found: label:
        let theirs = of named.${label};
        in
        found // under "${label}.${prefix}" (builtins.listToAttrs (map
          (key: { name = key; value = theirs.${key}; })
          (builtins.filter
            (key: !mine ? ${key} || mine.${key}.drvPath != theirs.${key}.drvPath)
            (builtins.attrNames theirs)))))
      { }
      (builtins.attrNames named);
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
    (results
      // each "wheels" (one: one.wheels)
      // each "bytecode" (one: if one.compiles then one.bytecode.wheels else { })
      // under "base" built // { inherit root; });
}
