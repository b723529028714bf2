{
  description = "nixgen turns a uv project into an environment that any machine with Nix rebuilds byte for byte";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      systems = [ "aarch64-darwin" "aarch64-linux" "x86_64-darwin" "x86_64-linux" ];
      forEach =
        f:
        builtins.listToAttrs (
          map (system: {
            name = system;
            value = f nixpkgs.legacyPackages.${system};
          }) systems
        );

      # Stands in one place: nixgen/__init__.py, where pyproject.toml takes it from, too.
      version =
        let
          found = builtins.match ".*__version__ = \"([^\"]+)\".*" (builtins.readFile ./nixgen/__init__.py);
        in
        builtins.head found;

      # Only what goes into the package, so that a change of a test or a page builds nothing anew.
      shipped = [ "CHANGELOG.md" "LICENSE" "README.md" "nix" "nixgen" "pyproject.toml" "templates" ];
      source = builtins.path {
        name = "nixgen-source";
        path = ./.;
        filter =
          path: _:
          let
            relative = builtins.substring (builtins.stringLength (toString ./.) + 1) (-1) path;
            parts = builtins.filter builtins.isString (builtins.split "/" relative);
          in
          builtins.elem (builtins.head parts) shipped && !builtins.elem "__pycache__" parts;
      };

      application =
        pkgs:
        let
          python = pkgs.python3.pkgs;
        in
        python.buildPythonApplication {
          pname = "nixgen";
          inherit version;
          pyproject = true;
          src = source;
          build-system = [ python.hatchling ];
          # With the extra "cache", which is small; the others are for who pins models and data.
          dependencies = [
            python.cryptography
            python.jinja2
            python.packaging
            python.pyyaml
            python.tomli
            python.tomlkit
            python.typer
            python.urllib3
            python.uv
          ];
          # pyproject.toml asks for the version that nixgen is tested with; 26.0 has all that it uses of it.
          pythonRelaxDeps = [ "packaging" ];
          # `nixgen init` tells git of the files that it wrote.
          makeWrapperArgs = [ "--suffix" "PATH" ":" "${pkgs.git}/bin" ];
          pythonImportsCheck = [ "nixgen.cli" ];
          meta = {
            description = "Turns a uv project into an environment that any machine with Nix rebuilds byte for byte";
            mainProgram = "nixgen";
          };
        };
    in
    {
      # The Nix library, for a flake that is written by hand.
      lib = import ./nix;

      packages = forEach (pkgs: rec {
        nixgen = application pkgs;
        default = nixgen;
      });

      apps = forEach (pkgs: {
        default = {
          type = "app";
          program = "${application pkgs}/bin/nixgen";
        };
      });

      # What `make lint` and the tests need, where Nix is to give it.
      devShells = forEach (pkgs: {
        default = pkgs.mkShellNoCC {
          packages = [
            (pkgs.python3.withPackages (
              python: with python; [
                build
                cryptography
                cyclonedx-python-lib
                editables
                hatchling
                huggingface-hub
                hypothesis
                in-toto-attestation
                jinja2
                model-signing
                moto
                mypy
                obstore
                packaging
                pyarrow
                pyopenssl
                pytest
                pytest-timeout
                pytest-xdist
                pyyaml
                tomli
                tomlkit
                typer
                urllib3
                uv
              ]
            ))
            pkgs.check-jsonschema
            pkgs.git
            pkgs.nixfmt
            pkgs.ruff
          ];
        };
      });

      # The package builds, starts, and finds its templates and its Nix library.
      checks = forEach (pkgs: {
        package = pkgs.runCommand "nixgen-check" { nativeBuildInputs = [ pkgs.python3 ]; } ''
          mkdir demo
          cd demo
          printf '[project]\nname = "demo"\nversion = "0.1.0"\nrequires-python = ">=3.11"\n' > pyproject.toml
          export HOME=$TMPDIR
          ${application pkgs}/bin/nixgen init
          ${application pkgs}/bin/nixgen generate --check
          cp default.nix $out
        '';
      });

      templates.default = {
        path = ./examples/plot;
        description = "A small uv project that reads a CSV and draws a picture; next: nixgen init";
      };
    };
}
