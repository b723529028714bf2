# One file as a fixed-output derivation. Nix fetches it by itself: no curl, no shell, and netrc-file is honoured.
{ name, url, sha256 }:
derivation {
  inherit name url;
  urls = [ url ];
  system = "builtin";
  builder = "builtin:fetchurl";
  outputHashMode = "flat";
  outputHashAlgo = "sha256";
  outputHash = sha256;
  executable = false;
  unpack = false;
  preferLocalBuild = true;
  impureEnvVars = [ "http_proxy" "https_proxy" "ftp_proxy" "all_proxy" "no_proxy" ];
}
