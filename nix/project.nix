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

  here = builtins.filter (entry: builtins.elem system entry.systems);
  fetch = import ./fetch.nix;
  support = import ./support.nix { inherit pins system name nixpkgs; };

  launcher = import ./launcher.nix { base = support; };
  builder = import ./builder.nix { base = support; };
  install = import ./wheel.nix { base = support; inherit fetch builder root; };
  build = import ./build.nix { base = support; inherit fetch builder root; };
  made = import ./builds.nix { inherit system install build; } { wheels = buildWheels; inherit builds; };
  installed = map (wheel: { inherit (wheel) name; drv = install wheel; }) (here wheels) ++ made.installed;
  ownTrees = map (tree: removeAttrs tree [ "systems" ]) (here trees);

  environment = import ./environment.nix { base = support; } {
    inherit name launcher prefer;
    wheels = installed;
    trees = map (tree: removeAttrs tree [ "path" "roots" "modules" ]) ownTrees;
  };
  # The project's own code as it is now, and the environment with it.
  source = import ./source.nix { inherit root name; } ownTrees;
  own = import ./own.nix { base = support; } { inherit name environment source; trees = ownTrees; };

  pinned = import ./artifacts.nix { base = support; inherit fetch root name; } { inherit artifacts files; };
  together = pinned.collect pinned.known;
  serve = import ./services.nix {
    base = support;
    inherit source;
    environment = own;
    packaged = ownTrees != [ ];
    artifacts = pinned;
  };
  served = serve services;

  shell = import ./shell.nix { base = support; } {
    inherit name root environment launcher source;
    variables = support.variables // together.variables;
    trees = ownTrees;
    count = builtins.length installed + builtins.length ownTrees;
  };
  checks = {
    imports = import ./imports.nix { base = support; } {
      inherit name environment own;
      trees = ownTrees;
      wheels = installed;
      skip = skipImports;
      empty = installed == [ ];
    };
  } // (if smoke == [ ] then { } else {
    smoke = import ./smoke.nix { base = support; } {
      inherit name environment source;
      variables = support.variables // together.variables;
      trees = ownTrees;
      commands = smoke;
    };
  });
  byName = builtins.listToAttrs (map (wheel: { inherit (wheel) name; value = wheel.drv; }) installed);

  counted = import ./counted.nix { base = support; } {
    inherit name;
    # The shell itself holds what its builder's machine was like; what it sources does not.
    alone = { inherit environment; shell = shell.stdenv; } // (if artifacts == [ ] then { } else {
      models-all = together.models;
      data-all = together.data;
    }) // (if builtins.any (artifact: artifact.inHub) pinned.known then { inherit (together) cache; } else { });
    parts = {
      models = pinned.folders "models";
      data = pinned.folders "data";
      services = served;
    };
    wheels = byName;
    built = support.built // { inherit builder; } // (if support.launcher == null then { inherit launcher; } else { });
  };
in
{
  environment = current own;
  shell = current shell;
  imports = current checks.imports;
  # Null where no commands are set.
  smoke = current (checks.smoke or null);
  # The same as a flake's checks.
  checks = current checks;
  wheels = current byName;
  # By name, in the first of its layouts; `.hf` and `.plain` are both of them.
  models = current pinned.models;
  data = current pinned.data;
  # All of them: folders of plain files by name, and a cache for huggingface_hub.
  models-all = current together.models;
  data-all = current together.data;
  cache = current together.cache;
  services = current served;
  # The same as a flake's apps.
  apps = current (import ./apps.nix { base = support; } {
    inherit name;
    environment = own;
    trees = ownTrees;
    services = served;
    serve = if pinned.known == [ ] then _: { } else serve;
  });
  formatter =
    if support.formatter != null then support.formatter
    else import ./formatter.nix { base = support; } { inherit environment; };
  base = support;
  # Everything that counts, linked by one derivation; and the derivations that are built here, by name.
  root = current counted.root;
  recipes = current counted.recipes;
}
