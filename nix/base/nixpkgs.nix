# The base made of nixpkgs: its Python, its loader and its libraries, at the revision that nixgen.lock pins.
{ pins, system, nixpkgs }:
let
  hint = text: "\n  hint: ${text}, then: nixgen sync";
  settings = "under [tool.nixgen] in pyproject.toml";
  unfree = pins.unfree or false;
  tree =
    if nixpkgs != null then nixpkgs
    else
      builtins.fetchTarball {
        url = "https://github.com/NixOS/nixpkgs/archive/${pins.rev}.tar.gz";
        sha256 = pins.narHash;
      };
  # What a flake has ready is evaluated once for all that use it.
  pkgs =
    if system == "x86_64-darwin" && builtins.compareVersions release "26.11" >= 0 then
      throw
        ("nixpkgs ${release} has dropped x86_64-darwin, Macs with Intel's processors"
          + hint "take it out of systems ${settings}, or set nixpkgs = \"nixos-26.05\" there")
    else if nixpkgs == null || unfree then
      import tree { inherit system; config = if unfree then { allowUnfree = true; } else { }; overlays = [ ]; }
    else nixpkgs.legacyPackages.${system};
  # Known before the packages are: these do not even exist for a system that was dropped.
  release = (if nixpkgs == null then import (tree + "/lib") else nixpkgs.lib or { }).trivial.release or "0";
  inherit (pkgs) lib;
  linux = pkgs.stdenv.hostPlatform.isLinux;

  attribute = "python${builtins.replaceStrings [ "." ] [ "" ] pins.python}";
  # What was removed is either not there, or an alias that throws.
  offered = builtins.seq pkgs (builtins.tryEval (pkgs.${attribute} or null));
  python =
    if offered.success && offered.value != null then exactly (pins.pythonFull or null) offered.value
    else throw ("this nixpkgs has no ${attribute}" + hint "choose another python ${settings}");

  # Markers of uv.lock compare the patch release: with another one, other packages are right.
  exactly = full: found:
    if full == null || found.version == full then found
    else
      throw ("this nixpkgs has Python ${found.version}, and the packages were chosen for ${full}"
        + hint "set python = \"${found.version}\" ${settings}");

  # A name from [tool.nixgen]: an attribute, or a path of attributes with dots.
  package = key: name:
    allowed key name (lib.attrByPath (lib.splitString "." name)
      (throw ("this nixpkgs has no ${name}, which ${key} ${settings} names" + hint "name another one"))
      pkgs);
  # nixpkgs' own words name files of NixOS and a variable that a flake does not see.
  allowed = key: name: found:
    if unfree || !(found.meta.unfree or false) then found
    else
      throw
        ("${name}, which ${key} ${settings} names, is not free software"
          + hint "read its licence, and if you accept it set unfree = true there");
  folder = drv: "${lib.getLib drv}/lib";
  unique = builtins.foldl' (found: item: if builtins.elem item found then found else found ++ [ item ]) [ ];
  wanted = map (package "libraries") pins.libraries;
  system-libraries = lib.optionals linux
    ([ pkgs.stdenv.cc.cc pkgs.zlib pkgs.expat ] ++ pkgs.pythonManylinuxPackages.manylinux1);
in
{
  inherit system;
  version = pins.python;
  python = "${python}";
  # macOS wheels find what they need by themselves: nothing is patched there.
  launcher = if linux then null else "${python}";
  libraries = unique (map folder (wanted ++ system-libraries));
  systemLibraries = unique (map folder system-libraries);
  # The C library takes locales from one file, which this variable names. nixpkgs' own programs read it, no others do.
  variables = builtins.foldl'
    (found: drv: found // { LOCALE_ARCHIVE = "${drv}/lib/locale/locale-archive"; })
    { }
    (builtins.filter (drv: linux && (builtins.parseDrvName drv.name).name == "glibc-locales") wanted);
  # Loaded first, so that a library with a search path of its own still finds them.
  preload = lib.optionals linux [ "libstdc++.so.6" "libgcc_s.so.1" "libz.so.1" ];
  loader = if linux then pkgs.stdenv.cc.bintools.dynamicLinker else "";
  # The launcher makes one that finds the libraries.
  interpreter = "";
  libdeflate = if linux then "${lib.getLib pkgs.libdeflate}/lib/libdeflate.so" else "";
  # What sources are built with. Evaluated only where something is.
  toolchain =
    let
      flags = key: what: drvs: {
        ${key} = builtins.concatStringsSep ":" (map (drv: "${lib.getDev drv}/${what}") drvs);
      };
      needed = map (package "packages.NAME.build-libraries") (pins.buildLibraries or [ ]);
      built = map (drv: "${lib.getLib drv}/lib") needed;
    in
    {
      python = null;
      path = map (drv: "${lib.getBin drv}/bin")
        ([ pkgs.stdenv.cc pkgs.stdenv.cc.bintools pkgs.gnumake pkgs.pkg-config ] ++ pkgs.stdenv.initialPath);
      env = { };
      needs = {
        path = map (name: "${lib.getBin (package "packages.NAME.build-tools" name)}/bin") (pins.buildTools or [ ]);
        env = flags "CPATH" "include" needed // flags "PKG_CONFIG_PATH" "lib/pkgconfig" needed
          // flags "CMAKE_PREFIX_PATH" "." needed // { LIBRARY_PATH = builtins.concatStringsSep ":" built; };
      };
    };
  git = { program = "${pkgs.gitMinimal}/bin/git"; parts = ""; };
  bash = "${pkgs.bash}/bin/bash";
  tools = map (name: "${lib.getBin (package "tools" name)}/bin") pins.tools;
  applets = "";
  assigned = [ ];
  modules = [ ];
  # Until 25.11 the attribute nixfmt was the old formatter of that name, with a warning.
  formatter =
    let old = builtins.compareVersions lib.trivial.release "25.11" < 0;
    in pkgs.${if old then "nixfmt-rfc-style" else "nixfmt"} or null;
  image = {
    roots = map toString ([ python pkgs.tzdata pkgs.cacert ]
      ++ map lib.getBin ([ pkgs.bash pkgs.coreutils ] ++ map (package "tools") pins.tools)
      ++ map lib.getLib wanted);
    links = {
      "etc/ssl/certs/ca-certificates.crt" = "${pkgs.cacert}/etc/ssl/certs/ca-bundle.crt";
      "usr/bin/env" = "${lib.getBin pkgs.coreutils}/bin/env";
      "usr/share/zoneinfo" = "${pkgs.tzdata}/share/zoneinfo";
    };
    path = map (drv: "${lib.getBin drv}/bin") [ pkgs.coreutils pkgs.bash ];
  };
  keep = "";
  # Nothing of it is built here but by nixpkgs' own recipes.
  built = { };
}
