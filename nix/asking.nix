# What `nixgen lock` asks of sources, in the sandbox: derivations whose output is JSON. `static` are rows of sources
# whose own files are read; `dynamic` are rows whose backend is asked, with the names of what it runs with; `built` are
# names of builds themselves. `wheels` and `builds` are rows as in default.nix.
{ system, root, base, nixpkgs ? null }:
{ wheels, builds, static ? [ ], dynamic ? [ ], built ? [ ] }:
let
  support = import ./support.nix { pins = base; inherit system nixpkgs; };
  fetch = import ./fetch.nix;
  builder = import ./builder.nix { base = support; };
  install = import ./wheel.nix { base = support; inherit fetch builder root; };
  build = import ./build.nix { base = support; inherit fetch builder root; };
  made = import ./builds.nix { inherit system install build; } { inherit wheels builds; };
  ask = import ./requires.nix { base = support; inherit fetch builder root; };
  recipe = drv: { drv = drv.drvPath; out = drv.outPath; };
in
{
  static = map (row: recipe (ask.static row)) static;
  dynamic = map (row: recipe (ask.dynamic (row // { requires = made.all row.requires; }))) dynamic;
  built = map recipe (made.all built);
}
