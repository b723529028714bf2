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
, run ? null
, tasks ? { }
, cuda ? "auto"
, bytecode ? "auto"
, images ? { }
, nixpkgs ? null
}:
let
  pins = base;
  # What the shell runs is what a check proves: the revision of nixgen.lock, and not one that flake.lock moved to.
  moved = nixpkgs != null && pins ? narHash && nixpkgs ? narHash && nixpkgs.narHash != pins.narHash;
  changed = import ./stale.nix { inherit root locks; };
  stale = if changed == [ ] && moved then [ "flake.lock" ] else changed;
  gone = builtins.filter (file: !builtins.pathExists (root + "/${file}")) changed;
  listed = builtins.concatStringsSep " and ";
  revision = pin: builtins.substring 0 12 (pin.rev or pin.narHash);
  both = ": it has nixpkgs ${revision nixpkgs}, and nixgen.lock has ${revision pins}";
  detail = if changed == [ ] then both else "";
  # Why nothing of the base can be had; null where all can.
  unfit =
    if builtins.compareVersions builtins.nixVersion oldest < 0 then
      "${name} needs Nix ${oldest} or newer, and this is ${builtins.nixVersion}\n  hint: https://nixos.org/download"
    else if !builtins.elem system pins.systems then
      ("${name} is not set up for ${system}, only for ${builtins.concatStringsSep ", " pins.systems}\n"
        + "  hint: add it to systems under [tool.nixgen] in pyproject.toml, then: nixgen sync")
    else null;
  oldest = "2.8";
  # Why nothing is built: what was generated from another lock is refused, not built.
  refusal =
    if unfit != null then unfit
    else if gone != [ ] then
      ("${listed gone} is missing, or git does not know it\n"
        + "  hint: git add ${builtins.concatStringsSep " " gone}, or: nixgen sync")
    else if stale != [ ] then
      "${listed stale} changed after default.nix was generated${detail}\n  hint: nixgen sync"
    else null;
  current = values: if refusal == null then values else import ./refused.nix refusal values;

  fetch = import ./fetch.nix;
  support =
    if unfit != null || moved then throw refusal
    else import ./support.nix { inherit pins system nixpkgs; };

  launcher = import ./launcher.nix { base = support; inherit builder; };
  builder = import ./builder.nix { base = support; };
  install = import ./wheel.nix { base = support; inherit fetch builder root; };
  build = import ./build.nix { base = support; inherit fetch builder root; };
  made = import ./builds.nix { inherit system install build; } { wheels = buildWheels; inherit builds; };

  pinned = import ./artifacts.nix { base = support; inherit fetch root name; } { inherit artifacts files; };
  together = pinned.collect pinned.known;
  # The environment that has no name, and those that have one, each of its own rows.
  environmentOf = import ./named.nix {
    base = support;
    inherit system root name launcher builder install made pinned together prefer;
    inherit wheels trees services skipImports cuda images bytecode;
  };
  own = environmentOf {
    label = "";
    inherit smoke run tasks;
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
  apps = builtins.foldl' (found: label: named.${label}.apps // found) own.apps labels;
  checks = own.checks // prefixed (one: one.checks);
  # Of the environment without a name, of those with one and of services, by their name.
  containers =
    if builtins.match ".*-linux" system == null then { }
    else builtins.foldl' (found: label: found // named.${label}.images) own.images labels;
  called = builtins.attrNames containers;
  containerApps = builtins.listToAttrs (map
    (label: {
      name = imageOf label;
      value = { type = "app"; program = "${containers.${label}.program}/bin/${containers.${label}.program.name}"; };
    })
    called);
  imageOf = label: if label == "" then "image" else "image-${label}";
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
  formatter =
    if support.formatter != null then support.formatter
    else import ./formatter.nix { base = support; } { environment = own.bare; };

  code = one: if one.compiles then { bytecode-all = one.bytecode.root; } else { };
  counted = import ./counted.nix { base = support; } {
    inherit name;
    # The shell itself holds what its builder's machine was like; what it sources does not.
    alone = { environment = own.bare; shell = own.shell.stdenv; } // code own // (if artifacts == [ ] then { } else {
      models-all = together.models;
      data-all = together.data;
    }) // (if builtins.any (artifact: artifact.inHub) pinned.known then { inherit (together) cache; } else { });
    parts = {
      models = pinned.folders "models";
      data = pinned.folders "data";
      services = served;
      # Those whose digests the project wants to have compared.
      images = builtins.listToAttrs (map
        (label: { name = imageOf label; value = containers.${label}; })
        (builtins.filter (label: builtins.elem label (images.record or [ ])) called));
    } // builtins.mapAttrs (_: one: { environment = one.bare; shell = one.shell.stdenv; } // code one) named;
    inherit own named;
    # The compilers are pinned where anything is built, and there where one needs them.
    built = removeAttrs support.built (if builtins.all (row: row.pure or false) builds then [ "compilers" ] else [ ])
      // { inherit builder; } // (if support.launcher == null then { inherit launcher; } else { });
  };
in
current {
  environment = own.environment;
  # Those with a name are attributes of it, for `nix-shell -A NAME`.
  shell = own.shell // builtins.mapAttrs (_: one: one.shell) named;
  imports = own.checks.imports;
  # Null where no commands are set.
  smoke = own.checks.smoke or null;
  inherit checks;
  wheels = own.wheels;
  # That of each wheel.
  bytecode = own.bytecode.wheels;
  # By name, in the first of its layouts; `.hf` and `.plain` are both of them.
  models = pinned.models;
  data = pinned.data;
  # All of them: folders of plain files by name, and a cache for huggingface_hub.
  models-all = together.models;
  data-all = together.data;
  cache = together.cache;
  services = served;
  inherit apps;
  images = containers;
  # By name, each with its environment, shell, checks and wheels.
  environments = named;
  # Everything that counts, linked by one derivation; and the derivations that are built here, by name.
  root = counted.root;
  recipes = counted.recipes;
} // {
  inherit formatter;
  base = support;
  # The outputs of a flake for this system.
  outputs = { inherit formatter; } // builtins.mapAttrs (_: current) {
    packages = builtins.listToAttrs (map (label: { name = imageOf label; value = containers.${label}; }) called)
      // builtins.mapAttrs (_: one: one.environment) named // served // {
      default = own.environment;
      models = together.models;
      data = together.data;
    };
    apps = containerApps // apps;
    inherit checks;
    devShells = builtins.mapAttrs (_: one: one.shell) named // { default = own.shell; };
  };
}
