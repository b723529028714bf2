# A source, built by its own backend (PEP 517) into a wheel that is installed as any wheel: the output has the form of
# wheel.nix's. One derivation does both: a wheel is compressed, and would hide the store paths in it from Nix.
#
# `requires` are the installed wheels that its backend needs; `git` is a commit, and `folder` a folder of the project,
# instead of a file. With `needs` it gets the project's build-libraries and build-tools, too; `crates` are those of its
# Cargo.lock. One that is `pure` waits for no compilers. `asked` is the system that its backend was asked on for what it
# requires: on another one it is asked once more. `mode` is for requires.nix.
{ base, fetch, builder, root }:
{ name
, version
, file
, epoch
, requires
, sha256 ? null
, url ? null
, path ? null
, git ? null
, folder ? null
, subdirectory ? ""
, env ? { }
, settings ? { }
, needs ? false
, patches ? [ ]
, crates ? [ ]
, pure ? false
, asked ? null
, timeout ? 3600
, mode ? "wheel"
}:
let
  safe = text:
    builtins.concatStringsSep "_" (builtins.filter builtins.isString (builtins.split "[^a-zA-Z0-9+._?=-]+" text));
  full = safe "${name}-${version}${if mode == "wheel" then "" else "-${mode}"}";
  none = { path = [ ]; env = { }; };
  toolchain =
    if pure || base.toolchain or null == null then none // { python = null; needs = none; }
    else base.toolchain;
  needed = if needs then toolchain.needs else none;
  # Without what the project adds to the base: a build is the same path in every project, too.
  own = base // {
    interpreter = if base.interpreter == "" then "" else base.loader;
    libraries = base.systemLibraries;
    assigned = [ ];
    modules = [ ];
  };
  environment = import ./environment.nix { base = own; inherit builder; } {
    name = "${full}-build";
    launcher =
      if toolchain.python != null then toolchain.python
      else if own.interpreter != "" then base.python
      else import ./launcher.nix { base = own; inherit builder; };
    wheels = map (drv: { inherit (drv) name; inherit drv; }) requires;
    trees = [ ];
    # Where two bring the same file, the first one's is taken, as whoever installs them in this order would have it.
    prefer = map (drv: drv.name) requires;
  };
  applets = if base.applets == "" then [ ] else [ base.applets ];
  lib = import ./modules.nix base "nixgen-source-builder" (import ./texts.nix).source;
in
import ./python.nix base [ "-c" "import build; build.main()" ] ({
  name = full;
  project = name;
  inherit version file mode subdirectory;
  src =
    if git != null then import ./git.nix base (git // { inherit name; })
    else if folder != null then import ./source.nix { inherit root folder; name = safe name; } [ ]
    else import ./file.nix { inherit fetch root; } { inherit path url sha256; name = safe file; };
  patches = map (patch: builtins.path { name = safe (baseNameOf patch); path = root + "/${patch}"; }) patches;
  inherit lib;
  PYTHONPATH = lib;
  # What only reads does not wait for compilers.
  path = builtins.concatStringsSep ":"
    ((if mode == "static" then [ ] else needed.path ++ toolchain.path) ++ applets ++ [ (builtins.dirOf base.bash) ]);
} // (if mode == "static" then { } else {
  inherit environment;
  inherit (base) loader libdeflate;
  epoch = toString epoch;
  timeout = toString timeout;
  tools = [ environment ] ++ requires ++ (if toolchain.python == null then [ ] else [ toolchain.python ]);
  shell = base.bash;
  variables = builtins.toJSON (toolchain.env // needed.env // env);
  settings = builtins.toJSON settings;
  rpath = builtins.concatStringsSep ":" base.systemLibraries;
  python = base.version;
  wheels = builder;
}) // (if mode != "wheel" || asked == null || asked == base.system then { } else {
  inherit asked;
}) // (if crates == [ ] then { } else {
  crates = builtins.toJSON (map
    (crate: {
      inherit (crate) name version sha256;
      file = fetch { inherit (crate) url sha256; name = "${crate.name}-${crate.version}.crate"; };
    })
    crates);
}))
