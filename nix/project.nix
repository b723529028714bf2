# A project: what its generated default.nix calls. The result has the environment, the shell, the checks, the wheels,
# the models and data, and the services, each a derivation; and what `nixgen check` asks for.
{ system
, root
, name
, base
, wheels
, trees
, artifacts ? [ ]
, files ? [ ]
, services ? [ ]
, environments ? { }
, buildWheels ? [ ]
, builds ? [ ]
, locks ? { }
, prefer ? [ ]
, skipImports ? [ ]
, smoke ? [ ]
, nixpkgs ? null
}:
let
  pins = base;
  stale = import ./stale.nix { inherit root locks; };
  # What was generated from another lock is refused, not built.
  current = value:
    if stale == [ ] then value
    else
      throw "${builtins.concatStringsSep " and " stale} changed after default.nix was generated. Run: nixgen generate";

  fetch = import ./fetch.nix;
  support = import ./support.nix { inherit pins system name nixpkgs; };

  launcher = import ./launcher.nix { base = support; };
  builder = import ./builder.nix { base = support; };
  install = import ./wheel.nix { base = support; inherit fetch builder root; };
  build = import ./build.nix { base = support; inherit fetch builder root; };
  made = import ./builds.nix { inherit system install build; } { wheels = buildWheels; inherit builds; };

  pinned = import ./artifacts.nix { base = support; inherit fetch root name; } { inherit artifacts files; };
  together = pinned.collect pinned.known;
  # The environment that has no name, and those that have one, each of its own rows.
  environmentOf = import ./named.nix {
    base = support;
    inherit system root name launcher install made pinned together prefer;
    inherit wheels trees services skipImports;
  };
  own = environmentOf {
    label = "";
    inherit smoke;
    elsewhere = builtins.foldl' (found: label: found // named.${label}.programs) { } labels;
  };
  isHere = label: builtins.elem system environments.${label}.systems;
  labels = builtins.filter isHere (builtins.attrNames environments);
  namedOf = label: environmentOf {
    inherit label;
    smoke = environments.${label}.smoke or [ ];
    script = environments.${label}.script or null;
  };
  named = builtins.listToAttrs (map (label: { name = label; value = namedOf label; }) labels);
  elsewhere = builtins.foldl' (found: label: found // named.${label}.services) { } labels;
  served = elsewhere // own.services;
  # What each has by name, as NAME-WHAT.
  prefixed = of: builtins.foldl'
    (found: label:
      let values = of named.${label};
      in
      found // builtins.listToAttrs (map
        (key: { name = "${label}-${key}"; value = values.${key}; })
        (builtins.attrNames values)))
    { }
    labels;

  counted = import ./counted.nix { base = support; } {
    inherit name;
    # The shell itself holds what its builder's machine was like; what it sources does not.
    alone = { environment = own.bare; shell = own.shell.stdenv; } // (if artifacts == [ ] then { } else {
      models-all = together.models;
      data-all = together.data;
    }) // (if builtins.any (artifact: artifact.inHub) pinned.known then { inherit (together) cache; } else { });
    parts = {
      models = pinned.folders "models";
      data = pinned.folders "data";
      services = served;
    } // builtins.mapAttrs (_: one: { environment = one.bare; shell = one.shell.stdenv; }) named;
    wheels = own.wheels;
    more = builtins.mapAttrs (_: one: one.wheels) named;
    # The compilers are pinned where anything is built, and there where one needs them.
    built = removeAttrs support.built (if builtins.all (row: row.pure or false) builds then [ "compilers" ] else [ ])
      // { inherit builder; } // (if support.launcher == null then { inherit launcher; } else { });
  };
in
{
  environment = current own.environment;
  # Those with a name are attributes of it, for `nix-shell -A NAME`.
  shell = current (own.shell // builtins.mapAttrs (_: one: one.shell) named);
  imports = current own.checks.imports;
  # Null where no commands are set.
  smoke = current (own.checks.smoke or null);
  # The same as a flake's checks.
  checks = current (own.checks // prefixed (one: one.checks));
  wheels = current own.wheels;
  # By name, in the first of its layouts; `.hf` and `.plain` are both of them.
  models = current pinned.models;
  data = current pinned.data;
  # All of them: folders of plain files by name, and a cache for huggingface_hub.
  models-all = current together.models;
  data-all = current together.data;
  cache = current together.cache;
  services = current served;
  # The same as a flake's apps.
  apps = current (builtins.foldl' (found: label: named.${label}.apps // found) own.apps labels);
  # By name, each with its environment, shell, checks and wheels.
  environments = current named;
  formatter =
    if support.formatter != null then support.formatter
    else import ./formatter.nix { base = support; } { environment = own.bare; };
  base = support;
  # Everything that counts, linked by one derivation; and the derivations that are built here, by name.
  root = current counted.root;
  recipes = current counted.recipes;
}
