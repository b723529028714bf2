# One environment of a project, from the rows that are its: the one without a name (`label` is empty), or one of
# `environments`. `bare` is without the project's own code; `elsewhere` are the services of others, for `nix run`. With
# `script` it is the environment of that file, and `nix run .#LABEL` runs it.
{ base
, system
, root
, name
, launcher
, builder
, install
, made
, pinned
, together
, prefer
, wheels
, trees
, services
, skipImports
, cuda
, images
, bytecode
}:
{ label, smoke, elsewhere ? { }, script ? null, run ? null, tasks ? { } }:
let
  full = if label == "" then name else "${name}-${label}";
  here = builtins.filter (row:
    builtins.elem system (if label == "" then row.systems else row.environments.${label} or [ ]));
  strip = row: removeAttrs row [ "systems" "environments" ];

  installed = map (wheel: { inherit (wheel) name; drv = install (strip wheel); }) (here wheels) ++ made.installed here;
  ownTrees = map strip (here trees);

  bare = import ./environment.nix { inherit base builder; } {
    inherit launcher prefer;
    name = full;
    # A package of the project that is called nixgen comes first.
    seeding = !builtins.any (tree: builtins.elem "nixgen" (tree.modules or [ ])) ownTrees;
    wheels = installed;
    trees = map (tree: removeAttrs tree [ "path" "roots" "modules" ]) ownTrees;
  };
  # Packages of the project's own of which a part is installed, and yet they are its own code: what is compiled is
  # installed as a wheel, and of others the modules that only a build makes.
  built = made.folders here ++ builtins.filter (tree: tree ? made) ownTrees;
  # The project's own code as it is now, and the environment with it.
  source = import ./source.nix { inherit root name; } ownTrees;
  environment = import ./own.nix { inherit base; } {
    name = full;
    environment = bare;
    inherit source built;
    trees = ownTrees;
  };
  variables = base.variables // together.variables;
  # Of the wheels, for what starts often and has no cache of its own; a shell compiles what it imports.
  compiled = import ./bytecode.nix { inherit base builder; } { name = full; wheels = installed; };
  always = bytecode == "build";
  asked = if always then compiled.root else null;

  packaged = ownTrees != [ ] || built != [ ];
  serving = code: import ./services.nix {
    inherit base source environment cuda packaged;
    artifacts = pinned;
    bytecode = code;
  };
  serve = serving asked;
  served = serving compiled.root (map (row: removeAttrs row [ "environment" "health" ])
    mine);
  mine = builtins.filter (row: row.environment or "" == label) services;

  # A script runs from a copy of what git knows of the project, with its arguments, like any program.
  copy = import ./source.nix { inherit root name; } [ ];
  scripted = if script == null then { } else
    import ./services.nix
      {
        inherit base environment cuda;
        source = copy;
        packaged = true;
        artifacts = pinned;
        bytecode = asked;
      }
      [ { name = label; command = [ "python" "${copy}/${script}" ]; } ];

  # Containers: of the environment, which runs the project's main command or the script, if any, and of each service.
  versions = map (tree: { inherit (tree) version; }) (builtins.filter (tree: tree.path == ".") trees);
  image = import ./image.nix {
    inherit base name;
    settings = (if versions == [ ] then { } else builtins.head versions) // images;
  };
  program =
    if run != null then apps.default.program
    else if script != null then programs.${label}
    else null;
  programs = builtins.mapAttrs (called: drv: "${drv}/bin/${called}") scripted;
  # What is no package is there as git knows it, so that a command may name its files.
  folder = if packaged then "/tmp" else "${source}";
  imaged = image {
    inherit label;
    folder = if run == null then "/tmp" else folder;
    environment = bare;
    bytecode = compiled.root;
    artifacts = if program == null then [ ] else together.folders;
    roots = [ "${environment}" ] ++ (if program == null then [ ] else [ (dirOf (dirOf program)) ]);
    first = [ "${environment}/bin" ];
    entry.Cmd = [ (if program == null then "${environment}/bin/python" else program) ];
  };
  imagedService = row: image {
    inherit folder;
    label = row.name;
    environment = bare;
    bytecode = compiled.root;
    artifacts = served.${row.name}.folders;
    roots = [ "${environment}" "${served.${row.name}}" ];
    first = [ "${environment}/bin" ];
    entry.Entrypoint = [ "${served.${row.name}}/bin/${row.name}" ];
    health = row.health or [ ];
  };
  apps = import ./apps.nix { inherit base; } {
    inherit name label run tasks;
    trees = ownTrees;
    services = elsewhere // served // scripted;
    inherit serve;
  };
in
{
  inherit bare environment apps;
  bytecode = compiled;
  # Whether anything that counts has its byte code from Nix.
  compiles = always || mine != [ ] || builtins.elem label (images.record or [ ]);
  images = { ${label} = imaged; }
    // builtins.listToAttrs (map (row: { inherit (row) name; value = imagedService row; }) mine);
  services = served;
  programs = served // scripted;
  shell = import ./shell.nix { inherit base; } {
    inherit root label launcher source built cuda;
    variables = variables // (if always then { NIXGEN_BYTECODE = "${compiled.root}"; } else { });
    name = full;
    environment = bare;
    trees = ownTrees;
    count = builtins.length installed + builtins.length ownTrees;
  };
  checks = {
    imports = import ./imports.nix { inherit base; } {
      name = full;
      environment = bare;
      own = environment;
      trees = ownTrees;
      wheels = installed;
      skip = skipImports;
      empty = installed == [ ];
    };
  } // (if smoke == [ ] then { } else {
    smoke = import ./smoke.nix { inherit base; } {
      name = full;
      environment = bare;
      inherit source variables built;
      trees = ownTrees;
      commands = smoke;
    };
  });
  wheels = builtins.listToAttrs (map (wheel: { inherit (wheel) name; value = wheel.drv; }) installed);
}
