# The base made of Debian packages: each .deb is a fixed-output derivation, and one derivation unpacks and relocates
# them. Nothing but Nix is needed to start: `builtin:unpack-channel` unpacks the first program, a static busybox.
{ pins, system, fetch }:
let
  inherit (pins) python;
  here = import ../here.nix;
  script = import ../script.nix;
  bootstrap = pins.bootstrap.${system} or
    (throw ("nixgen.lock pins no busybox for ${system}\n"
      + "  hint: add the system to systems under [tool.nixgen] in pyproject.toml, then: nixgen sync"));

  busybox = derivation {
    name = "busybox-static";
    system = "builtin";
    builder = "builtin:unpack-channel";
    channelName = "bin";
    preferLocalBuild = true;
    src = builtins.path {
      name = bootstrap.file;
      path = here + "/bootstrap/${bootstrap.file}";
      recursive = false;
      inherit (bootstrap) sha256;
    };
  };

  # What stands behind "#" is not asked for; Nix shows it with the address when it cannot fetch that.
  debs = part: map
    (deb: fetch {
      url = "${deb.url}#if-it-left-the-mirror,run:nixgen%20lock%20--upgrade";
      inherit (deb) sha256;
      name = "${deb.name}.deb";
    })
    (builtins.filter (deb: deb.system == system && deb.part == part) pins.debs);

  unpack = args: derivation ({
    inherit system busybox python;
    builder = "${busybox}/bin/busybox";
    args = [ "sh" (script "unpack.sh") ];
    modules = map script ([ "alternatives.py" "hostpaths.py" "relocate.py" ]
      ++ (if args ? toolchain || args ? beside then [ "toolchain.py" ] else [ ]))
      ++ map (name: builtins.toFile "${name}.py" (import ../texts.nix).wheel."${name}.py")
        [ "bytecode" "elf" "libraries" "redirect" "relink" "workers" ];
    managed = script "externally-managed";
    PYTHONHASHSEED = "0";
  } // args);

  # Loaded before anything else, so that a library with a search path of its own still finds them.
  preload = [
    "libstdc++.so.6"
    "libgcc_s.so.1"
    "libz.so.1"
    "libm.so.6"
    "libpthread.so.0"
    "libdl.so.2"
    "librt.so.1"
    "libutil.so.1"
    "libresolv.so.2"
  ];

  core = unpack {
    name = "python${python}-${pins.suite}";
    debs = debs "core";
    preload = toString preload;
  };

  # A tree on top of the core, of the packages of a part.
  addition = part: name: more: unpack ({
    name = "${name}-${pins.suite}";
    debs = debs part;
    core = "${core}";
    preload = "";
  } // more);
  extra = addition "extra" "extra" { };
  # Compilers, where something is built from its source; and on top what single packages need for that.
  compilers = addition "build" "toolchain" { toolchain = "1"; };
  needs = addition "needs" "build-needs" { beside = "${compilers}"; };
  # What fetches sources from git, where there are any.
  fetcher = addition "git" "git" { };
  none = part: debs part == [ ];

  extras = if none "extra" then [ ] else [ extra ];

  triplet = { x86_64-linux = "x86_64-linux-gnu"; aarch64-linux = "aarch64-linux-gnu"; }.${system};
  loader = { x86_64-linux = "ld-linux-x86-64.so.2"; aarch64-linux = "ld-linux-aarch64.so.1"; }.${system};
  folder = tree: "${tree}/usr/lib/${triplet}";
in
{
  inherit system preload core;
  version = python;
  python = "${core}/usr";
  # The base's own Python is patched already; one that must see more libraries is a copy.
  launcher = if extras == [ ] then "${core}/usr" else null;
  libraries = map folder (extras ++ [ core ]);
  systemLibraries = [ (folder core) ];
  variables = { };
  loader = "${core}/usr/lib/${triplet}/${loader}";
  # The one that also finds what the project adds.
  interpreter = "${folder (builtins.head (extras ++ [ core ]))}/${loader}";
  # What sources are built with; null where nothing is pinned for that.
  toolchain =
    let
      found = trees: builtins.concatStringsSep ":"
        (builtins.concatMap (tree: [ "${folder tree}/pkgconfig" "${tree}/usr/share/pkgconfig" ]) trees);
    in
    if none "build" then null
    else {
      python = "${compilers}/usr";
      path = [ "${compilers}/usr/bin" ];
      env = {
        # Where the compiler looks anyhow; for those that look for headers by themselves.
        C_INCLUDE_PATH = "${compilers}/usr/include";
        PKG_CONFIG_LIBDIR = found [ compilers ];
      };
      needs =
        if none "needs" then { path = [ ]; env = { }; }
        else {
          path = [ "${needs}/usr/bin" ];
          env = {
            CMAKE_PREFIX_PATH = "${needs}/usr";
            CPATH = "${needs}/usr/include:${needs}/usr/include/${triplet}";
            LIBRARY_PATH = folder needs;
            # For what these libraries need themselves (libgmp, which gcc has, too), and for programs that a build makes
            # and runs.
            LD_LIBRARY_PATH = "${folder needs}:${folder compilers}";
            PKG_CONFIG_LIBDIR = found [ needs compilers ];
          };
        };
    };
  git =
    if none "git" then null
    else { program = "${fetcher}/usr/bin/git"; parts = "${fetcher}/usr/lib/git-core"; };
  libdeflate =
    if builtins.any (deb: deb.name == "libdeflate0" && deb.part == "core") pins.debs then "libdeflate.so.0" else "";
  bash = "${core}/usr/bin/bash";
  tools = map (tree: "${tree}/usr/bin") extras;
  applets = "${core}/usr/libexec/applets";
  assigned = map (tree: "${tree}/nixgen-variables") (extras ++ [ core ]);
  # Parts of the standard library that Debian packages apart: tkinter, gdbm, ensurepip.
  modules = map (tree: "${tree}/usr/lib/python${python}") extras;
  formatter = null;
  # What images of containers have of it: store paths, links to them, and where programs are.
  image = {
    roots = map toString (extras ++ [ core ]);
    links = {
      "usr/bin/env" = "${core}/usr/libexec/applets/env";
      "usr/share/zoneinfo" = "${core}/usr/share/zoneinfo";
    };
    path = [ "${core}/usr/bin" "${core}/usr/libexec/applets" ];
  };
  # `nix develop` takes its bash from the flake input nixpkgs, which is this folder. Nix 2.8 cannot fetch an input with
  # a relative path, but finds it when it is in the store already.
  keep = builtins.path {
    name = "source";
    path = here;
    # Not what tools and systems leave.
    filter = path: _:
      let name = builtins.substring (builtins.stringLength (toString here) + 1) (-1) (toString path);
      in builtins.match "[a-z]+[.]nix|library|programs|bootstrap(/busybox-.*[.]tar[.]xz)?" name != null;
  };
  built = { inherit busybox core; }
    // (if extras == [ ] then { } else { inherit extra; })
    // (if none "build" then { } else { inherit compilers; })
    // (if none "needs" then { } else { inherit needs; });
}
