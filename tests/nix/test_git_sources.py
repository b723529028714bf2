"""A project with packages from git, from uv.lock to a checked environment, on real Nix."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from checking import Checked, findings, steps
from support.gitserver import TIME, Repository, Server, serving
from support.nix import SYSTEM, Nix
from support.project import PYPROJECT, Project
from support.sdists import make_sdist

from nixgen.nix.nar import source_path

if TYPE_CHECKING:
    from support.index import Index

pytestmark = pytest.mark.skipif(not SYSTEM.endswith("-linux"), reason="the debian base is Linux")

# Backends in the sources themselves: nothing else has to be fetched.
BACKEND = """
import os, zipfile
def build_wheel(folder, settings=None):
    name = "{name}-" + "{version}" + "-py3-none-any.whl"
    info = "{name}-" + "{version}" + ".dist-info/"
    with zipfile.ZipFile(folder + "/" + name, "w") as wheel:
        wheel.writestr("{name}.py", "NAME = '" + open("{data}").read().strip() + "'")
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "RECORD", "{name}.py,,\\n")
    return name
"""
PROJECT = """[build-system]
requires = []
build-backend = "own"
backend-path = ["."]

[project]
name = "{name}"
version = "{version}"
"""
SETTINGS = '[tool.nixgen]\nbase = "debian"\npython = "3.13"\nsystems = ["{system}"]\n'
IMPORTS = "import plum, pear; print(plum.NAME, pear.NAME)"


def package(name: str, version: str, data: str = "data", folder: str = "") -> dict[str, str]:
    """The files of a package whose module has the text of the file ``data``."""
    return {
        f"{folder}pyproject.toml": PROJECT.format(name=name, version=version),
        f"{folder}own.py": BACKEND.format(name=name, version=version, data=data),
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("repositories")
    with serving(folder) as found:
        yield found


@pytest.fixture(scope="module")
def plum(server: Server) -> Repository:
    """A package with a submodule, which has its data; a second package in a subdirectory."""
    data = Repository.make(server.folder / "data", {"data": "ripe\n"})
    made = Repository.make(server.folder / "plum", package("plum", "1.0", data="modules/data/data"))
    made.module("modules/data", "../data", data.git("rev-parse", "HEAD"))
    made.commit({**package("pear", "2.0", folder="more/a pear/"), "more/a pear/data": "green\n"})
    for tag in ("v1", "stays"):  # a test moves the first one
        made.git("tag", tag)
    return made


def locked(folder: Path, nix: Nix, pins: Path, index: Index, **sources: str) -> Checked:
    """A project with these packages from git, locked and generated."""
    shutil.copytree(pins, folder, ignore=shutil.ignore_patterns("done", "uv.lock", ".git"))
    text = PYPROJECT.format(dependencies=", ".join(f'"{name}"' for name in sources))
    text += "\n[tool.uv.sources]\n" + "".join(f"{name} = {{ {source} }}\n" for name, source in sources.items())
    (folder / "pyproject.toml").write_text(f"{text}\n{SETTINGS.format(system=SYSTEM)}")
    checked = Checked(Project(folder), nix, index)
    checked.project.lock()
    for words in (("lock",), ("generate",)):
        done = checked.run(*words)
        assert done.ok, done.tail()
    return checked


@pytest.fixture(scope="module")
def built(nix28: Nix, pins: Path, served: Index, server: Server, plum: Repository) -> Checked:
    """A project with both packages."""
    url = server.url(plum.folder.name)
    folder = server.folder.parent / f"{server.folder.name}-project" / "demo"
    return locked(
        *(folder, nix28, pins, served),
        plum=f'git = "{url}", tag = "v1"',
        pear=f'git = "{url}", subdirectory = "more/a pear"',
    )


def builds(checked: Checked) -> dict[str, Any]:
    """What nixgen.lock has of builds, by name."""
    return {one["name"]: one for one in json.loads((checked.folder / "nixgen.lock").read_text())["builds"]}


def test_a_commit_is_pinned_with_its_submodules(built: Checked, plum: Repository, server: Server) -> None:
    commit = plum.git("rev-parse", "v1")
    found = builds(built)
    assert found["plum"]["source"] == f"git+{server.url('plum')}@{commit}"
    assert found["pear"]["source"] == f"git+{server.url('plum')}@{commit}#subdirectory=more/a%20pear"
    assert found["plum"]["narHash"] == found["pear"]["narHash"]
    assert found["plum"]["epoch"] == TIME
    place = built.nix.real(Path(source_path(found["plum"]["narHash"])))
    assert (place / "modules/data/data").read_text() == "ripe\n"
    assert not list(place.rglob(".git"))


def test_it_is_built_imported_and_the_same_again(built: Checked) -> None:
    environment = built.nix.build(built.folder, "environment")
    assert built.nix.run(str(environment / "bin/python"), "-c", IMPORTS).stdout == "ripe green\n"
    built.check("--update")
    done = built.check("--rebuild=plum", "--rebuild=pear", "--json")
    assert {name: step["ok"] for name, step in steps(done).items()}["rebuild"]
    assert findings(done, "rebuild") == []


def test_a_tag_that_moved_changes_nothing_and_the_sandbox_fetches_the_same(built: Checked, plum: Repository) -> None:
    """The base's git gets what the machine's got, where the store lacks it: one path, by its hash."""
    built.nix.build(built.folder, "environment")
    source = source_path(builds(built)["plum"]["narHash"])
    plum.commit({"own.py": "raise SystemExit\n"})
    plum.git("tag", "--force", "v1")
    before = (built.folder / "nixgen.lock").read_bytes()
    built.nix.run("nix-store", "--delete", source)
    assert not built.nix.real(Path(source)).exists()
    built.nix.run("nix-build", "--no-out-link", "--check", "-A", "wheels.plum", str(built.folder))
    assert (built.nix.real(Path(source)) / "modules/data/data").read_text() == "ripe\n"
    # So does nixgen lock, for what only this machine's git may read.
    built.nix.run("nix-store", "--delete", source)
    done = built.run("lock")
    assert done.ok, done.tail()
    assert (built.folder / "nixgen.lock").read_bytes() == before
    assert (built.nix.real(Path(source)) / "modules/data/data").read_text() == "ripe\n"


def test_other_files_than_those_that_are_pinned_are_refused(built: Checked, tmp_path: Path) -> None:
    copy = Checked(Project(Path(shutil.copytree(built.folder, tmp_path / "demo"))), built.nix, built.index)
    other = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    path = copy.folder / "nixgen.lock"
    path.write_text(path.read_text().replace(builds(copy)["plum"]["narHash"], other))
    done = copy.run("lock")
    assert "has other files than nixgen.lock pins" in done.stderr
    assert not done.ok
    assert copy.run("generate").ok
    done = copy.nix.run("nix-build", "--no-out-link", "-A", "wheels.plum", str(copy.folder), check=False)
    assert not done.ok
    assert "hash mismatch in fixed-output derivation" in done.stderr


# Backends, and what each is told the version with that it would take from git's history.
VERSIONED = {
    "apple": """[build-system]
requires = ["hatchling", "hatch-vcs"]
build-backend = "hatchling.build"
[project]
name = "apple"
dynamic = ["version"]
[tool.hatch.version]
source = "vcs"
""",
    "berry": """[build-system]
requires = ["setuptools", "versioningit"]
build-backend = "setuptools.build_meta"
[project]
name = "berry"
dynamic = ["version"]
[tool.versioningit]
[tool.setuptools]
py-modules = ["berry"]
""",
    "cherry": """[build-system]
requires = ["setuptools", "setuptools-scm"]
build-backend = "setuptools.build_meta"
[project]
name = "cherry"
dynamic = ["version"]
[tool.setuptools_scm]
[tool.setuptools]
py-modules = ["cherry"]
""",
}


NEEDY = """
import {needs}, zipfile
def build_wheel(folder, settings=None):
    with zipfile.ZipFile(folder + "/{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("{name}.py", "NAME = '{name}, ' + " + repr({needs}.NAME))
        wheel.writestr("{name}-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n")
        wheel.writestr("{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\n")
        wheel.writestr("{name}-1.0.dist-info/RECORD", "{name}.py,,\\n")
    return "{name}-1.0-py3-none-any.whl"
"""


def test_a_build_that_requires_one_from_git_and_one_without_isolation(
    nix28: Nix, pins: Path, plums: Index, server: Server, plum: Repository, tmp_path: Path
) -> None:
    """The base gets git for what is only required; what is not isolated is built with what is installed."""
    for name, needs, requires in (("user", "plum", '"plum"'), ("beside", "user", '"no-such-thing"')):
        pyproject = f'[build-system]\nrequires = [{requires}]\nbuild-backend = "own"\nbackend-path = ["."]\n'
        pyproject += f'[tool.uv.sources]\nplum = {{ git = "{server.url(plum.folder.name)}", tag = "stays" }}\n'
        own = NEEDY.format(name=name, needs=needs)
        make_sdist(plums.folder, name, "1.0", {"pyproject.toml": pyproject, "own.py": own})
    folder = tmp_path / "demo"
    shutil.copytree(pins, folder, ignore=shutil.ignore_patterns("done", "uv.lock", ".git"))
    text = PYPROJECT.format(dependencies='"user", "beside"')
    text += f'\n[[tool.uv.index]]\nname = "loopback"\nurl = "{plums.simple}"\ndefault = true\n'
    text += '[tool.uv]\nno-build-isolation-package = ["beside"]\n'
    # The project names the server, or no source of it might: it is on this machine.
    text += f'[tool.uv.sources]\nplum = {{ git = "{server.url(plum.folder.name)}", tag = "stays" }}\n'
    (folder / "pyproject.toml").write_text(f"{text}\n{SETTINGS.format(system=SYSTEM)}")
    checked = Checked(Project(folder), nix28, plums)
    checked.project.lock()
    for words in (("lock",), ("generate",), ("lock", "--offline")):
        done = checked.run(*words)
        assert done.ok, done.tail()
    assert {name: one["requires"][SYSTEM] for name, one in builds(checked).items()} == {
        "beside": ["user==1.0"],
        "plum": [],
        "user": ["plum==1.0"],
    }
    environment = nix28.build(folder, "environment")
    code = "import beside, importlib.util as util; print(beside.NAME, util.find_spec('plum'))"
    assert nix28.run(str(environment / "bin/python"), "-c", code).stdout == "beside, user, ripe None\n"


@pytest.mark.network
def test_versions_from_git_s_history(nix28: Nix, pins: Path, served: Index, server: Server, tmp_path: Path) -> None:
    sources = {}
    for name, text in VERSIONED.items():
        made = Repository.make(server.folder / name, {"pyproject.toml": text, f"{name}.py": ""})
        made.git("tag", "v1.5")
        made.commit({f"{name}.py": "A = 1\n"})
        sources[name] = f'git = "{server.url(name)}"'
    found = locked(tmp_path / "demo", nix28, pins, served, **sources)
    versions = {name: one["version"] for name, one in builds(found).items()}
    assert all(version.startswith("1.") and version != "1.5" for version in versions.values())
    code = f"from importlib.metadata import version; print({{name: version(name) for name in {sorted(versions)}}})"
    environment = found.nix.build(found.folder, "environment")
    assert found.nix.run(str(environment / "bin/python"), "-c", code).stdout == f"{versions}\n"
