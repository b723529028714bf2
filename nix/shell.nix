# The development shell: a derivation that `nix develop` and `nix-shell` enter. Neither needs nixpkgs' stdenv: both
# source $stdenv/setup, and want bash as the builder.
{ base }:
{ name, label, root, environment, launcher, trees, built, source, count, variables, cuda }:
let
  # The project's folder, where Nix knows it. A flake is evaluated from a copy in the store: then the shell looks for
  # the folder that has this default.nix and this code, in its own and those above.
  length = builtins.stringLength;
  place = toString root;
  copied = builtins.substring 0 (length builtins.storeDir + 1) place == "${builtins.storeDir}/";
  # Where in its repository the project lies: what follows the copy's own name.
  below = builtins.match "[^/]*/(.*)" (builtins.substring (length builtins.storeDir + 1) (-1) place);
  origin =
    if !copied then { NIXGEN_PLACE = place; }
    else {
      # Not that of a shell around this one.
      NIXGEN_PLACE = "";
      NIXGEN_BELOW = if below == null then "" else builtins.head below;
      NIXGEN_SOURCE = if trees == [ ] then "" else source;
    };
in
derivation ({
  inherit (base) system keep;
  name = "${name}-shell";
  # Changes with the code: asking a cache for it would cost 4.5 s each time where none can be reached.
  allowSubstitutes = false;
  outputs = [ "out" ];
  builder = base.bash;
  args = [ "-c" "echo ${environment} > $out" ];
  stdenv = import ./python.nix base "setup.py" {
    name = "${name}-setup";
    project = name;
    inherit label;
    inherit (base) bash;
    inherit environment;
    tools = builtins.concatStringsSep ":" base.tools;
    hook = import ./script.nix "hook.sh";
    title = "${name}: Python ${base.version}, ${toString count} ${if count == 1 then "package" else "packages"}";
    variables = builtins.toJSON variables;
    roots = builtins.toJSON (builtins.concatMap (tree: tree.roots) trees);
    built = builtins.toJSON {
      roots = builtins.concatMap (row: row.roots) built;
      modules = builtins.concatMap (row: row.modules) built;
    };
    venv = import ./ownvenv.nix base;
    driver = builtins.toFile "nixgen-driver.py" (import ./texts.nix).machine."driver.py";
    inherit cuda;
    python = "${launcher}/bin/python${base.version}";
    allowSubstitutes = false;
  };
  shellHook = "nixgen_enter";
  NIXGEN_DIGEST =
    if builtins.pathExists (root + "/default.nix") then builtins.hashFile "sha256" (root + "/default.nix") else "";
} // origin)
