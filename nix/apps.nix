# What `nix run` starts: services, and the console scripts of own packages, started as services are: with the tools, the
# GPU's driver, and models and data that were compared first. By itself, `nix run` is the only one; else it says what
# there is. The scripts of an environment with a name (`label`) are LABEL-SCRIPT; LABEL is what `nix run` is elsewhere.
# `run` is the project's main command and `tasks` are those of pyproject.toml by name, each a text for bash.
{ base }:
{ name, label, trees, services, serve, run ? null, tasks ? { } }:
let
  # The names of the scripts in an entry_points.txt.
  scripts = text: (builtins.foldl'
    (found: line:
      let script = builtins.match "([^=]*[^= ]) *=.*" line;
      in
      if builtins.substring 0 1 line == "[" then
        found // { inside = builtins.elem line [ "[console_scripts]" "[gui_scripts]" ]; }
      else if found.inside && script != null then found // { names = found.names ++ script; }
      else found)
    { inside = false; names = [ ]; }
    (builtins.filter builtins.isString (builtins.split "\n" text))).names;
  names = builtins.filter (script: !services ? ${script}) (builtins.concatMap (tree: scripts tree.entryPoints) trees);

  app = program: { type = "app"; program = "${program}"; };
  served = serve (map (script: { name = script; command = [ script ]; }) names);
  programs = builtins.mapAttrs (script: drv: "${drv}/bin/${script}") (services // served);
  started = builtins.mapAttrs (task: drv: "${drv}/bin/${task}") (serve (map
    (task: { name = task; command = [ base.bash "-c" tasks.${task} task ]; })
    (builtins.attrNames tasks)));
  main = (serve [ { inherit name; command = [ base.bash "-c" run name ]; } ]).${name};
  everything = programs // started;
  all = builtins.attrNames everything;
  called = program: if label == "" || services ? ${program} then program else "${label}-${program}";

  full = if label == "" then name else "${label}-${name}";
  choices = builtins.concatStringsSep "\n"
    (if all == [ ] then [
      "${name} has no run in [tool.nixgen], no task, no service and no [project.scripts]; to run a file:"
      "  nix develop${if label == "" then "" else " .#${label}"} -c python FILE"
    ]
    else [ "${name} has several programs:" ] ++ map (program: "  nix run .#${called program}") all);
  choose = import ./python.nix base "say.py" {
    name = "${full}-run";
    inherit (base) bash;
    allowSubstitutes = false;
    message = choices;
  };
  default =
    if run != null then "${main}/bin/${name}"
    else if builtins.length (builtins.attrNames programs) == 1 then builtins.head (builtins.attrValues programs)
    else if builtins.length all == 1 then everything.${builtins.head all}
    else "${choose}/bin/${full}-run";
in
builtins.mapAttrs (_: app) ({ ${if label == "" then "default" else label} = default; } // builtins.listToAttrs (map
  (program: { name = called program; value = everything.${program}; })
  all))
