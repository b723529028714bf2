# uv2nix on a uv workspace, over a set that has of nixpkgs what uv2nix asks for: nixpkgs' own `lib`, and stand-ins for
# the interpreter, stdenv and fetchers. That is in uv2nix's favour: with the real nixpkgs, evaluating stdenv and Python
# comes on top. The result is the derivation of the virtual environment with all of the project's default dependencies.
{
  uv2nix,
  pyprojectNix,
  lib,
  workspace,
  system ? builtins.currentSystem,
}:
let
  library = import lib;
  pyproject-nix = import pyprojectNix { lib = library; };
  peer = import uv2nix {
    lib = library;
    inherit pyproject-nix;
  };

  # A derivation from the arguments of mkDerivation, without bash's set-up: what cannot be coerced is left out.
  mkDerivation =
    given:
    let
      attrs = if builtins.isFunction given then library.fix given else given;
      name = attrs.name or "${attrs.pname}-${attrs.version}";
      drv = derivation (
        removeAttrs attrs [
          "meta"
          "passthru"
          "__structuredAttrs"
          "outputHashMode"
        ]
        // {
          inherit name system;
          builder = "/bin/sh";
          args = [
            "-c"
            "exit 1"
          ];
        }
      );
    in
    drv
    // (attrs.passthru or { })
    // {
      passthru = attrs.passthru or { };
      meta = attrs.meta or { };
      overrideAttrs = change: mkDerivation (attrs // change attrs);
    };

  platform = library.systems.elaborate system;
  stdenv = {
    inherit mkDerivation;
    buildPlatform = platform;
    hostPlatform = platform;
    targetPlatform = platform;
    isLinux = true;
    isDarwin = false;
    cc.libc = {
      pname = "glibc";
      version = "2.40";
    };
  };
  program = name: mkDerivation { inherit name; };
  python =
    let
      self = program "python3-3.11.9" // {
        pname = "python3";
        version = "3.11.9";
        passthru = {
          implementation = "cpython";
          pythonVersion = "3.11";
          sourceVersion = {
            major = "3";
            minor = "11";
            patch = "9";
            suffix = "";
          };
        };
        isPy3 = true;
        interpreter = "${self}/bin/python3.11";
        sitePackages = "lib/python3.11/site-packages";
        pythonOnBuildForHost = self;
        inherit stdenv;
      };
    in
    self;

  pkgs = library.makeScope library.callPackageWith (self: {
    inherit python stdenv;
    lib = library;
    inherit (stdenv) mkDerivation;
    pkgs = self;
    buildPackages = self;
    makeSetupHook = args: script: mkDerivation { name = args.name or "hook"; inherit script; };
    runCommand = name: _: script: mkDerivation { inherit name script; };
    replaceVars = src: _: mkDerivation { name = baseNameOf src; inherit src; };
    fetchurl =
      {
        url,
        hash,
        name ? baseNameOf url,
      }:
      derivation {
        inherit name system url;
        builder = "builtin:fetchurl";
        outputHash = hash;
        outputHashAlgo = null;
        outputHashMode = "flat";
      };
    autoPatchelfHook = program "auto-patchelf-hook";
    pythonManylinuxPackages = library.genAttrs [ "manylinux1" "manylinux2010" "manylinux2014" ] (_: [ ]);
    unzip = program "unzip";
    uv = program "uv";
    ugrep = program "ugrep" // { meta.mainProgram = "ugrep"; };
    darwinMinVersionHook = null;
  });

  loaded = peer.lib.workspace.loadWorkspace { workspaceRoot = workspace; };
  base = pkgs.callPackage pyproject-nix.build.packages { inherit python; };
  set = base.overrideScope (loaded.mkPyprojectOverlay { sourcePreference = "wheel"; });
in
set.mkVirtualEnv "environment" loaded.deps.default
