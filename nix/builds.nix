# What is built from its source, and the wheels that only such builds need: rows of default.nix in, derivations by name
# out. `install` and `build` are wheel.nix and build.nix; what a build requires are file names of wheels, or
# "name==version" of other builds.
{ system, install, build }:
{ wheels, builds }:
let
  here = builtins.filter (row:
    builtins.elem system (builtins.concatLists ([ row.systems ] ++ builtins.attrValues (row.environments or { }))));
  named = key: value: rows: builtins.listToAttrs (map (row: { name = key row; value = value row; }) (here rows));
  keyOf = row: "${row.name}==${row.version}";
  available = named (row: row.file) install' wheels // built;
  install' = row: install (removeAttrs row [ "systems" ]);
  built = named keyOf
    (row: build (removeAttrs row [ "systems" "environments" "installed" "roots" "modules" ] // {
      requires = map (name: available.${name}) row.requires.${system};
    }))
    builds;
in
{
  # By "name==version".
  inherit built;
  # Those that an environment has, as wheels are: { name, drv }. `chosen` gives its rows.
  installed = chosen: map (row: { inherit (row) name; drv = built.${keyOf row}; })
    (builtins.filter (row: row.installed or true) (chosen builds));
  # What of these are packages of the project's own: where their code lies.
  folders = chosen: builtins.filter (row: row ? folder && row.installed or true) (chosen builds);
  # The installed wheels and builds with these names.
  all = map (name: available.${name});
}
