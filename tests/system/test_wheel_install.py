"""nixgen as its users get it: the built wheel in an empty environment, away from this repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support.nix import ROOT
from support.project import Project, own_wheel, run, uv_binary

pytestmark = pytest.mark.network

JOB = ".github/workflows/reproducibility.yml"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of what git knows, without the network."""
    return own_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an empty venv into which the wheel was installed."""
    venv = tmp_path_factory.mktemp("empty") / "venv"
    for argv in (
        [uv_binary(), "venv", "--quiet", "--python", sys.executable, str(venv)],
        [uv_binary(), "pip", "install", "--quiet", "--python", str(venv), str(built)],
    ):
        done = run(argv, venv.parent)
        assert done.ok, done.tail()
    return venv / "bin"


def _elsewhere(argv: list[str], cwd: Path, **more: str) -> str:
    """Runs a command that sees nothing of this repository; its standard output."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "UV_", "VIRTUAL"))
    }
    done = subprocess.run(
        argv,
        cwd=cwd,
        env={**environment, **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_the_templates_and_the_nix_library_and_no_tests(built: Path) -> None:
    names = set(zipfile.ZipFile(built).namelist())
    files = [path for top in ("templates", "nix") for path in (ROOT / top).rglob("*") if path.is_file()]
    wanted = {f"nixgen/_data/{path.relative_to(ROOT)}" for path in files if "__pycache__" not in path.parts}
    assert wanted <= names
    assert "nixgen/py.typed" in names
    assert [name for name in names if re.search(r"(^|/)(tests?(/|_)|conftest)|_test\.py$|\.pyc$", name.lower())] == []


def test_help_and_version_in_an_empty_venv(installed: Path, tmp_path: Path) -> None:
    nixgen = str(installed / "nixgen")
    assert _elsewhere([nixgen, "--version"], tmp_path).startswith("nixgen 0.")
    shown = _elsewhere([nixgen, "--help"], tmp_path)
    assert [command for command in ("init", "lock", "generate", "show") if f"  {command} " not in shown] == []
    module = _elsewhere([str(installed / "python"), "-m", "nixgen", "--help"], tmp_path)
    assert module.splitlines()[1:] == shown.splitlines()[1:], "all but the line with the program's name"


def test_init_in_an_empty_venv_writes_what_the_repository_writes(installed: Path, tmp_path: Path) -> None:
    theirs, ours = Project.make(tmp_path / "a" / "demo"), Project.make(tmp_path / "b" / "demo")
    _elsewhere([str(installed / "nixgen"), "init", "--python", "3.13"], theirs.folder)
    ours.must("init", "--python", "3.13")
    # The CI job says where nixgen was installed from, which is not the same for both.
    written = [{name: data for name, data in one.files().items() if name != JOB} for one in (theirs, ours)]
    assert written[0] == written[1]
    assert "nix/nixgen/base.nix" in theirs.files()


def test_uv_tool_install(built: Path, tmp_path: Path) -> None:
    folders = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
    source = str(built.parent / "source")
    _elsewhere([uv_binary(), "tool", "install", "--quiet", "--python", sys.executable, source], tmp_path, **folders)
    project = Project.make(tmp_path / "demo")
    _elsewhere([str(tmp_path / "bin" / "nixgen"), "init", "--python", "3.13"], project.folder)
    assert "default.nix" in project.files()
