"""The flake of this repository: evaluated in real Nix, over a stand-in for nixpkgs that has just the names it uses."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement

from nixgen import __version__
from nixgen.bases import nixpkgs as pins
from nixgen.generate import flakelock
from nixgen.project.settings import SYSTEMS, Settings

if TYPE_CHECKING:
    from support.nix import Nix

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ["CHANGELOG.md", "LICENSE", "README.md", "nix", "nixgen", "pyproject.toml", "templates"]

# Names of nixpkgs, each a derivation that nobody builds. A name that is not here ends the evaluation.
NIXPKGS = """
{
  outputs = { self }: {
    legacyPackages = builtins.listToAttrs (map (system: {
      name = system;
      value =
        let
          package = name: derivation { inherit name system; builder = "stand-in"; };
          named = names: builtins.listToAttrs (map (name: { inherit name; value = package name; }) names);
          modules = named [
            "build" "cryptography" "editables" "hatchling" "hypothesis" "jinja2" "mypy" "packaging" "pytest"
            "pytest-xdist" "pyyaml" "tomli" "tomlkit" "typer" "urllib3" "uv"
          ];
        in
        named [ "bash" "check-jsonschema" "expat" "ffmpeg" "git" "libdeflate" "nixfmt" "ruff" "zlib" ] // {
          python3 = package "python3" // {
            withPackages = choose: package "python3-env" // { modules = map (one: one.name) (choose modules); };
            pkgs = modules // {
              buildPythonApplication = { pname, version, dependencies, ... }@given:
                package "${pname}-${version}" // {
                  given = removeAttrs given [ "meta" ] // { dependencies = map (one: one.name) dependencies; };
                };
            };
          };
          mkShellNoCC = { packages }: package "shell" // { packages = map (one: one.name) packages; };
          runCommand = name: attributes: script:
            derivation { inherit name system script; builder = "stand-in"; };
        } // {
          # What the nixpkgs base takes.
          python313 = package "python313";
          stdenv.hostPlatform.isLinux = true;
          stdenv.cc.cc = package "cc";
          stdenv.cc.bintools.dynamicLinker = "/stand-in/ld";
          pythonManylinuxPackages.manylinux1 = [ (package "glib") ];
          lib = {
            trivial.release = "26.05";
            attrByPath = path: default: set: set.${builtins.head path} or default;
            splitString = _: text: [ text ];
            optionals = wanted: list: if wanted then list else [ ];
            getLib = one: one;
            getBin = one: one;
          };
        };
    }) [ "aarch64-darwin" "aarch64-linux" "x86_64-darwin" "x86_64-linux" ]);
  };
}
"""


def stand_in(folder: Path) -> Path:
    """The flake that stands for nixpkgs."""
    folder.mkdir()
    (folder / "flake.nix").write_text(NIXPKGS)
    return folder


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy of what the flake reads, and something that it must leave out."""
    root = tmp_path / "repository"
    root.mkdir()
    # What git knows, as a clone has it: a file that somebody is just writing is not part of it.
    wanted = ["flake.nix", "flake.lock", "examples", *SHIPPED]
    listed = subprocess.run(["git", "ls-files", "-z", "--", *wanted], cwd=ROOT, capture_output=True, check=True).stdout
    for name in listed.decode().split("\0")[:-1]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    (root / "nixgen" / "__pycache__").mkdir()
    (root / "nixgen" / "__pycache__" / "errors.cpython-311.pyc").write_bytes(b"stale")
    (root / "docs").mkdir()
    return root


@pytest.fixture
def nix(nix: Nix, tmp_path: Path) -> Nix:
    """Nix with an evaluation cache of its own.

    Where two processes of Nix 2.8 make the same new cache, one of them may find an attribute "unexpectedly missing".
    """
    return nix.with_env(XDG_CACHE_HOME=str(tmp_path / "cache"))


@pytest.fixture
def evaluate(nix: Nix, repository: Path, tmp_path: Path) -> Any:
    """The value of an output of the flake, through JSON."""
    nixpkgs = stand_in(tmp_path / "nixpkgs")

    def value(output: str, *options: str) -> Any:
        options = ("--no-write-lock-file", "--override-input", "nixpkgs", f"path:{nixpkgs}", *options)
        return json.loads(nix.run("nix", "eval", "--json", *options, f"path:{repository}#{output}").stdout)

    return value


def test_the_lock_has_the_pin_that_a_new_project_gets() -> None:
    base = pins.resolve_base(Settings(), "3.13")
    assert base.name == "nixos-26.05"
    assert (ROOT / "flake.lock").read_bytes() == flakelock.fresh(base, {})
    assert f'inputs.nixpkgs.url = "{pins.flake_url(base)}";' in (ROOT / "flake.nix").read_text()


def test_the_package_is_this_version_with_the_dependencies_of_pyproject(evaluate: Any) -> None:
    given = evaluate("packages.x86_64-linux.default.given")
    assert (given["pname"], given["version"]) == ("nixgen", __version__)
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())
    cache = wanted["project"]["optional-dependencies"]["cache"]
    names = [Requirement(text).name for text in [*wanted["project"]["dependencies"], *cache]]
    assert given["dependencies"] == sorted(names)
    assert [Requirement(text).name for text in wanted["build-system"]["requires"]] == ["hatchling"]
    assert given["build-system"][0].endswith("-hatchling")


def test_every_system_has_a_package_an_app_a_shell_and_a_check(evaluate: Any) -> None:
    for output, attribute in (
        ("packages", "default.drvPath"),
        ("apps", "default.program"),
        ("devShells", "default.drvPath"),
        ("checks", "package.drvPath"),
    ):
        found = evaluate(output, "--apply", f"builtins.mapAttrs (_: one: one.{attribute})")
        assert sorted(found) == sorted(SYSTEMS)
        assert len(set(found.values())) == len(SYSTEMS)
    assert found["x86_64-linux"].endswith("-nixgen-check.drv")
    assert evaluate("apps.x86_64-linux.default.program").endswith("/bin/nixgen")


def test_the_shell_has_what_the_developers_group_names(evaluate: Any) -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    names = {Requirement(text).name for text in groups["dev"]}
    tools = set(evaluate("devShells.x86_64-linux.default.packages"))
    assert {"git", "python3-env"} <= tools
    written = (ROOT / "flake.nix").read_text()
    assert names - tools - set(written.split()) == set()


def test_a_wheel_is_made_of_the_source_alone(nix: Nix, evaluate: Any, tmp_path: Path) -> None:
    source = nix.real(evaluate("packages.x86_64-linux.default.given")["src"])
    assert sorted(path.name for path in source.iterdir()) == SHIPPED
    assert not list(source.rglob("*.pyc"))
    copy = shutil.copytree(source, tmp_path / "copy", copy_function=shutil.copyfile)
    for folder in (copy, *(path for path in copy.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "dist").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for name in ("nixgen/cli/__init__.py", "nixgen/_data/templates/default.nix.j2", "nixgen/_data/nix/project.nix"):
        assert name in names


def test_the_library_and_the_template_need_no_nixpkgs(nix: Nix, repository: Path, tmp_path: Path) -> None:
    listed = nix.run("nix", "eval", "--json", f"path:{repository}#lib", "--apply", "builtins.attrNames").stdout
    assert json.loads(listed) == ["project"]
    new = tmp_path / "new"
    new.mkdir()
    nix.run("nix", "flake", "init", "--template", f"path:{repository}", cwd=new)
    example = ROOT / "examples" / "plot"
    files = subprocess.run(["git", "ls-files"], cwd=example, capture_output=True, text=True, check=True).stdout.split()
    assert {name: (new / name).read_bytes() for name in files} == {
        name: (example / name).read_bytes() for name in files
    }


def test_the_flake_by_hand_of_the_design_page_evaluates(nix: Nix, repository: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```nix\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    for name, url in (("nixpkgs", f"path:{tmp_path / 'nixpkgs'}"), ("nixgen", f"path:{repository}")):
        text, count = re.subn(rf'inputs\.{name}\.url = "[^"]*"', f'inputs.{name}.url = "{url}"', text)
        assert count == 1
    stand_in(tmp_path / "nixpkgs")
    project = tmp_path / "by-hand"
    project.mkdir()
    (project / "flake.nix").write_text(text)
    for output, name in (
        ("packages.x86_64-linux.default", "by-hand-environment"),
        ("devShells.x86_64-linux.default", "by-hand-shell"),
        ("checks.x86_64-linux.imports", "by-hand-imports"),
    ):
        drv = nix.run("nix", "eval", "--raw", "--no-write-lock-file", f"path:{project}#{output}.drvPath").stdout.strip()
        assert drv.endswith(f"-{name}.drv")
        needed = {path.partition("-")[2] for path in nix.requisites(drv)}
        assert {
            "cc.drv",
            "ffmpeg.drv",
            "glib.drv",
            "python3.13-launcher.drv",
            "python313.drv",
            "six-1.17.0.drv",
            "six-1.17.0-py2.py3-none-any.whl.drv",
        } <= needed
        assert ("git.drv" in needed) is (name == "by-hand-shell")
