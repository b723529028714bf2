# What is built from its source, and the wheels that only such builds need: rows of default.nix in, derivations by name
# out. `install` and `build` are wheel.nix and build.nix; what a build requires are file names of wheels, or
# "name==version" of other builds.
{ system, install, build }:
{ wheels, builds }:
let
  here = builtins.filter (row: builtins.elem system row.systems);
  named = key: value: rows: builtins.listToAttrs (map (row: { name = key row; value = value row; }) (here rows));
  keyOf = row: "${row.name}==${row.version}";
  available = named (row: row.file) install' wheels // built;
  install' = row: install (removeAttrs row [ "systems" ]);
  built = named keyOf
    (row: build (removeAttrs row [ "systems" "installed" ] // {
      requires = map (name: available.${name}) row.requires.${system};
    }))
    builds;
in
{
  # By "name==version".
  inherit built;
  # Those that the environment has, as wheels are: { name, drv }.
  installed = map (row: { inherit (row) name; drv = built.${keyOf row}; })
    (builtins.filter (row: row.installed or true) (here builds));
  # The installed wheels and builds with these names.
  all = map (name: available.${name});
}
