"""A project with source distributions, from uv.lock to a checked environment: on real Nix, from the registry."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from checking import Checked, findings, steps
from support.nix import SYSTEM, Nix
from support.project import PYPROJECT, Project

if TYPE_CHECKING:
    from support.index import Index

pytestmark = [pytest.mark.network, pytest.mark.skipif(not SYSTEM.endswith("-linux"), reason="the debian base is Linux")]

# The first has only a setup.py, the second a setup.py and C code; of the third the compiled wheel is not wanted.
PACKAGES = ("docopt==0.6.2", "crcmod==1.7", "markupsafe==3.0.3")
IMPORTS = "import docopt, crcmod._crcfunext, markupsafe._speedups; print('ok')"
SETTINGS = '[tool.uv]\nno-binary-package = ["markupsafe"]\n\n[tool.nixgen]\nbase = "debian"\npython = "3.13"\n'


@pytest.fixture(scope="module")
def built(nix28: Nix, pins: Path, served: Index, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    """The project, locked and generated."""
    folder = tmp_path_factory.mktemp("builds") / "demo"
    shutil.copytree(pins, folder, ignore=shutil.ignore_patterns("done", "uv.lock", ".git"))
    text = PYPROJECT.format(dependencies=", ".join(f'"{name}"' for name in PACKAGES))
    (folder / "pyproject.toml").write_text(f'{text}\n{SETTINGS}systems = ["{SYSTEM}"]\n')
    checked = Checked(Project(folder), nix28, served)
    checked.project.lock()
    for words in (("lock",), ("generate",)):
        done = checked.run(*words)
        assert done.ok, done.tail()
    return checked


def test_it_is_pinned_once(built: Checked) -> None:
    lock = json.loads((built.folder / "nixgen.lock").read_text())
    assert [one["name"] for one in lock["builds"]] == ["crcmod", "docopt", "markupsafe"]
    assert all(one["requires"].keys() == {SYSTEM} for one in lock["builds"])
    assert {one["name"] for one in lock["buildWheels"]} >= {"setuptools"}
    before = (built.folder / "nixgen.lock").read_bytes()
    done = built.run("lock", "--offline")
    assert done.stderr == "nixgen.lock: nothing to do, every pin still fits.\n"
    assert (built.folder / "nixgen.lock").read_bytes() == before
    assert built.run("generate", "--check").ok


def test_it_is_built_imported_and_the_same_again(built: Checked) -> None:
    environment = built.nix.build(built.folder, "environment")
    assert built.nix.run(str(environment / "bin/python"), "-c", IMPORTS).stdout == "ok\n"
    built.check("--update")
    done = built.check(*(f"--rebuild={name}" for name in ("crcmod", "docopt", "markupsafe")), "--json")
    assert {name: step["ok"] for name, step in steps(done).items()}["rebuild"]
    assert findings(done, "rebuild") == []


def test_what_is_to_be_built_is_shown(built: Checked) -> None:
    shown = built.run("show").stdout
    assert "crcmod-1.7.tar.gz (built)" in shown
    assert "3 packages, 0 wheels (sizes not in uv.lock), 3 built" in shown
