# Services: programs that first compare the models and data on the disk with nixgen.lock, then become the command.
# `services` are the rows of the generated default.nix.
{ base, source, environment, packaged, artifacts, cuda, bytecode }:
services:
let
  texts = import ./texts.nix;
  guard = import ./modules.nix base "nixgen-guard" texts.guard;

  service = { name, command, models ? [ ] }:
    let
      problem = what: throw "services.${name}: ${what}";
      lacking = builtins.filter (wanted: !builtins.any (artifact: artifact.name == wanted) artifacts.known) models;
      # A service sees no other models and data than those that are verified for it.
      wants = artifact: models == [ ] || builtins.elem artifact.name models;
      mine = artifacts.collect (builtins.filter wants artifacts.known);
    in
    if builtins.match "[A-Za-z0-9][A-Za-z0-9._-]*" name == null then
      problem "${builtins.toJSON name} is not a name that can be used"
    else if command == [ ] then problem "there is no command"
    else if lacking != [ ] then
      problem "there is neither a model nor data named ${builtins.concatStringsSep ", " lacking}"
    else
      import ./python.nix base "service.py" {
        inherit name environment guard;
        serve = import ./script.nix "serve.py";
        private = builtins.toFile "private.py" texts.own."private.py";
        driver = builtins.toFile "nixgen-driver.py" texts.machine."driver.py";
        allowSubstitutes = false;
        passAsFile = [ "plan" ];
        plan = builtins.toJSON {
          settings = {
            inherit name command;
            variables = base.variables // mine.variables;
            environment = "${environment}";
            tools = base.tools;
            source = "${source}";
            inherit packaged cuda;
            # Empty where the user's cache has it.
            bytecode = if bytecode == null then "" else "${bytecode}";
          };
          expected = { version = 1; inherit (mine) trees; };
        };
      } // { inherit (mine) folders; };
in
builtins.listToAttrs (map (row: { inherit (row) name; value = service row; }) services)
