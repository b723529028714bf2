# One commit of a git repository with its submodules, without .git: a fixed-output derivation that the base's git makes.
# It is the path that `nixgen lock` puts into the store, so nothing is fetched where that has run.
base: { name, url, rev, narHash }:
let
  git =
    if base.git or null != null then base.git
    else throw "nixgen.lock pins no git to fetch ${name} with\n  hint: nixgen sync";
in
import ./python.nix base [ (import ./script.nix "git.py") git.program url rev ] {
  name = "source";
  project = name;
  sandbox = "1";
  GIT_EXEC_PATH = git.parts;
  outputHashMode = "recursive";
  outputHashAlgo = "sha256";
  outputHash = narHash;
  preferLocalBuild = true;
  impureEnvVars = [ "http_proxy" "https_proxy" "ftp_proxy" "all_proxy" "no_proxy" ];
}
