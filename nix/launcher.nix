# The one program that is patched: a copy of the base's Python whose DT_RPATH names the base's libraries, so that wheels
# stay as their publishers made them. RPATH, not RUNPATH: every library that the process loads inherits it (ld.so(8)).
{ base, builder }:
if base.launcher != null then base.launcher
else
import ./python.nix base "launcher.py" {
  name = "python${base.version}-launcher";
  inherit (base) python version interpreter loader;
  rpath = builtins.concatStringsSep ":" base.libraries;
  preload = toString base.preload;
  lib = builder;
  managed = import ./script.nix "externally-managed";
}
