"""A whole project on the nixpkgs base: built, entered and checked over real programs in nixpkgs' shape (case 68).

The set that stands for nixpkgs (tests/nix/nixpkgs) is put into the store as the tree that the project pins, so that Nix
finds it there: nix/base/nixpkgs.nix, default.nix and the flake are run as users have them, without GitHub.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from lab import PYTHON, make_library
from support.nix import ROOT, SYSTEM, Nix, Output
from support.project import Project
from test_toolchain import pinned

from nixgen.nix import nar
from nixgen.oci import stored
from nixgen.project.settings import Settings

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(SYSTEM != "x86_64-linux", reason="the set is of x86_64"),
]
needs_time = pytest.mark.skipif(not os.environ.get("NIXGEN_TEST_BUILDS"), reason="slow: make test-builds")

SHAPE = Path(__file__).with_name("nixpkgs")
REV, MODIFIED = "68" * 20, 1_700_000_000
# What the set is made of besides the core and its compilers.
DEBIAN = Settings(
    base="debian", suite="trixie", libraries=("libpython3.13", "libcrypt1"), tools=("coreutils", "jq", "patchelf")
)
SETTINGS = """
[tool.uv]
exclude-newer = "2026-09-01T00:00:00Z"
no-binary-package = ["crcmod"]

[tool.nixgen]
libraries = ["util-linux", "libxcrypt-legacy"]
tools = ["jq", "coreutils", "patchelf"]
smoke = ["ninja --version"]

[tool.nixgen.packages.crcmod]
build-libraries = ["zlib"]
build-tools = ["jq"]
"""
# The store paths that a process has mapped, without their hashes.
MAPPED = "sorted({line.split()[-1].removeprefix('/nix/store/')[33:].split('/')[0] if '/nix/store/' in line else line "
MAPPED += "for line in open('/proc/self/maps') if '.so' in line or '/loader' in line})"


@dataclass(frozen=True)
class Built:
    """The project, with one of both versions of Nix; the set is in its store."""

    project: Project
    nix: Nix

    def nixgen(self, *words: str) -> Output:
        done = self.nix.nixgen(*words, cwd=self.project.folder, PYTHONPATH=str(ROOT), NO_COLOR="1")
        assert done.ok, done.tail()
        return done

    def value(self, code: str, *, flake: bool = True) -> Any:
        """What code with a JSON-able ``answer`` gives in the shell's Python."""
        file = self.project.folder / ".asked.py"
        file.write_text(f"import json\n{code}\nprint(json.dumps(answer))\n")
        command = f"python {file}"
        enter = self.nix.develop if flake else lambda folder, *_: self.nix.shell(folder, command)
        return json.loads(enter(self.project.folder, *command.split()).stdout.splitlines()[-1])


def make_set(folder: Path, library: Path) -> Path:
    """The set as a tree named ``source``; ``library`` is the nix/nixgen of a project on the debian base."""
    shutil.copytree(SHAPE, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(library, folder / "source/debian")
    return folder / "source"


def set_up(project: Project, tree: Path, nix: Nix) -> Built:
    """The project with the tree pinned as its nixpkgs."""
    files = {
        path.relative_to(tree).as_posix(): (path.read_bytes(), False) for path in tree.rglob("*") if path.is_file()
    }
    pin = f"{REV}@{nar.hash_tree(files)}@{MODIFIED}"
    version = re.search(rf'name = "python{PYTHON}"; version = "([0-9.]+)-', (tree / "debian/base.nix").read_text())
    assert version
    project.git()
    built = Built(project, nix)
    built.nixgen("init", "--nixpkgs", pin, "--python", version[1], "--system", SYSTEM, "--ci", "none")
    return built


@pytest.fixture(scope="module")
def tree(stores: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The set that stands for nixpkgs."""
    pins = pinned(stores, "trixie", DEBIAN, "nixpkgs")
    folder = tmp_path_factory.mktemp("nixpkgs")
    return make_set(folder, make_library(folder / "library", pins))


@pytest.fixture(scope="module")
def first(tree: Path, nix28: Nix, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The project with its record, made by the machine's Nix."""
    nix28.run("nix-store", "--add", tree)
    project = Project.make(tmp_path_factory.mktemp("first") / "demo", "numpy", "ninja", "crcmod==1.7", more=SETTINGS)
    built = set_up(project, tree, nix28)
    built.nixgen("check", "--update")
    built.project.git()
    return built


@pytest.fixture(scope="module")
def second(first: Built, tree: Path, nix_new: Nix, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The same project with a current Nix, whose store is given the set; what nixgen makes, it builds itself."""
    nix_new.run("nix-store", "--add", tree)
    record = json.loads((first.project.folder / "nixgen.hashes.json").read_text())["systems"][SYSTEM]
    own = {output["outPath"] for output in record["outputs"].values()}
    compilers = first.nix.evaluate(
        f'with import {tree} {{ system = "{SYSTEM}"; }}; '
        "map toString [ stdenv.cc stdenv.cc.bintools gnumake pkg-config ]"
    )
    roots = [record["outputs"]["root"]["outPath"], *compilers]
    given = first.nix.run("nix-store", "--query", "--requisites", *roots).stdout.split()
    dump = tmp_path_factory.mktemp("set") / "dump"
    first.nix.inside("sh", "-euc", 'nix-store --export "$@" > "$0"', dump, *sorted({*given} - own))
    nix_new.inside("sh", "-euc", 'nix-store --import < "$0"', dump)
    dump.unlink()
    return replace(first, nix=nix_new)


@pytest.fixture(params=["first", "second"], ids=["nix28", "nix_new"])
def built(request: pytest.FixtureRequest) -> Built:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Built)
    return found


def test_it_is_built_and_compared_with_the_record(built: Built) -> None:
    """Two versions of Nix, two stores: the same bytes, imports, programs and smoke commands included."""
    before = (built.project.folder / "nixgen.hashes.json").read_bytes()
    done = built.nixgen("check")
    assert "identical" in done.stdout
    built.nixgen("check", "--update")
    assert (built.project.folder / "nixgen.hashes.json").read_bytes() == before


def test_it_is_built_again_with_the_same_bytes(first: Built) -> None:
    """Launcher, wheels, what is built with the compilers, and the environment over them."""
    (report,) = json.loads(first.nixgen("check", "--rebuild", "all", "--json").stdout)["reports"]
    (found,) = [step for step in report["steps"] if step["name"] == "rebuild"]
    assert (found["ok"], found["findings"]) == (True, [])
    assert found["summary"] == "8 of 8 derivations built again gave the same bytes"


@pytest.mark.parametrize("flake", [True, False], ids=["develop", "nix-shell"])
def test_the_shell_is_entered(built: Built, *, flake: bool) -> None:
    code = (
        "import numpy, os, shutil, ssl, sqlite3, subprocess, sys\n"
        "said = [subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()\n"
        "        for argv in (['jq', '-n', '1 + 2'], ['patchelf', '--version'])]\n"
        "answer = [sys.version.split()[0], float(numpy.eye(2).sum()), said, sys.prefix == os.environ['VIRTUAL_ENV'],\n"
        "          [shutil.which(name).split('-', 1)[1] for name in ('jq', 'sort')], '/of/nixpkgs' in sys.path]"
    )
    version, total, (three, patchelf), own, tools, customized = built.value(code, flake=flake)
    assert version.startswith(f"{PYTHON}.")
    assert (total, three, own, customized) == (2.0, "3", True, False)
    assert patchelf.startswith("patchelf 0.")
    assert tools == ["jq-1.7.1-bin/bin/jq", "coreutils-9.7-bin/bin/sort"]


def test_a_library_is_found_by_its_name(first: Built) -> None:
    """_ctypes and libpython have RUNPATHs, and so the program's RPATH does not count for them."""
    code = (
        "import ctypes.util\n"
        "names = [ctypes.util.find_library(n) for n in ('mount', 'X11', 'stdc++', 'c', 'crypt', 'ssl')]\n"
        "answer = [names, *(ctypes.CDLL(n)._name for n in ('libmount.so.1', 'libX11.so.6', 'libcrypt.so.1'))]"
    )
    assert first.value(code) == [
        ["libmount.so.1", "libX11.so.6", "libstdc++.so.6", "libc.so.6", "libcrypt.so.1", None],
        *("libmount.so.1", "libX11.so.6", "libcrypt.so.1"),
    ]


def test_nothing_of_the_host_and_nothing_of_debians_tree_is_loaded(built: Built) -> None:
    code = f"import ctypes, numpy, ssl, sqlite3\nctypes.CDLL('libGL.so.1')\nanswer = {MAPPED}"
    found = built.value(code)
    assert {"glibc-2.41-67", f"python{PYTHON}-launcher", "libGL-1.7", "gcc-14.2.0-lib"} <= set(found)
    assert [one for one in found if not re.fullmatch(r"[\w.+-]+", one) or "trixie" in one] == []


def test_packages_of_the_set_refer_to_each_other_alone(first: Built) -> None:
    environment = first.nix.build(first.project.folder, "environment")
    names = [path.partition("-")[2] for path in first.nix.requisites(environment)]
    assert {"glibc-2.41-67", "zlib-1.3.1", "libxcrypt-4.4.38"} <= set(names)
    assert [name for name in names if "trixie" in name] == []


def test_a_program_of_a_wheel_starts_by_the_loader_of_the_set(first: Built) -> None:
    installed = first.nix.build(first.project.folder, "wheels.ninja")
    said = first.nix.run("nix-store", "--query", "--references", installed).stdout
    assert [path.partition("-")[2] for path in said.split() if "glibc" in path] == ["glibc-2.41-67"]
    assert first.nix.inside(installed / "bin/ninja", "--version").stdout.startswith("1.")


def test_a_source_is_built_with_its_compilers(first: Built) -> None:
    assert first.value("import crcmod._crcfunext as found; answer = found.__file__").endswith(".so")
    drv = first.nix.evaluate(f"(import {first.project.folder} {{}}).wheels.crcmod.drvPath")
    names = [path.partition("-")[2] for path in first.nix.requisites(drv)]
    assert {"gcc-wrapper-14.2.0.drv", "python3-3.13.5.drv", "jq-1.7.1.drv"} <= set(names)


def test_an_image_has_the_sets_certificates_and_time_zones(second: Built) -> None:
    nix = second.nix
    place = nix.build_expression(f'(import {second.project.folder} {{ }}).images.""')
    image = stored.read(nix.real(place), str(nix.store))
    assert all(sum(map(len, blob.checked())) == blob.descriptor.size for blob in image.image.blobs)
    config = json.loads(b"".join(image.image.blobs[0].open()))["config"]
    assert "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt" in config["Env"]
    [system] = [
        layer for layer in json.loads(nix.real(place / "image.json").read_text())["layers"] if "entries" in layer
    ]
    links = {entry["name"]: entry["link"] for entry in system["entries"] if "link" in entry}
    assert links.keys() == {"bin/sh", "etc/ssl/certs/ca-certificates.crt", "usr/bin/env", "usr/share/zoneinfo"}
    for target in links.values():
        assert target.split("/")[3] in {path.rpartition("/")[2] for path in image.paths}
        assert nix.real(target).exists() or nix.real(target).is_symlink()


def test_a_bundle_is_entered_without_a_network(first: Built, tmp_path: Path) -> None:
    """It has the source of nixpkgs, which Nix evaluates; the store has nothing but what is in it."""
    first.nixgen("bundle", "create", "-o", str(tmp_path / "demo.nixgen"))
    (tmp_path / "store/nix").mkdir(parents=True)
    alone = replace(first.nix.with_store(tmp_path / "store"), within=("unshare", "--net", "--"))
    opened = alone.nixgen("bundle", "open", "demo.nixgen", "demo", cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert opened.ok, opened.tail()
    assert (tmp_path / "demo/.nixgen-bundle_nixpkgs").readlink().name.endswith("-source")
    entered = alone.nixgen(
        *("shell", "--", "python", "-c", "import numpy; print(numpy.eye(2).sum())"),
        cwd=tmp_path / "demo",
        PYTHONPATH=str(ROOT),
    )
    assert (entered.stdout, entered.returncode) == ("2.0\n", 0), entered.tail()


def test_the_flake_is_checked(second: Built) -> None:
    second.nix.run("nix", "flake", "check", cwd=second.project.folder)


@needs_time
def test_the_picture_is_drawn(tree: Path, nix28: Nix, tmp_path: Path) -> None:
    nix28.run("nix-store", "--add", tree)
    plot = set_up(Project.copied("plot", tmp_path), tree, nix28)
    assert (
        "104 weeks, warmest month July 2025 (19.8 °C)" in nix28.develop(plot.project.folder, "python", "plot.py").stdout
    )
    assert (plot.project.folder / "plot.png").read_bytes().startswith(b"\x89PNG")
