"""What pip says in a project's .venv, over an environment with pip and without: nix/builders/own/ownvenv.py."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import venv
from pathlib import Path
from types import ModuleType

import pytest
from support.nix import ROOT

SAID = "nixgen: this environment has what uv.lock says, and pip changes nothing in it. To add packages: nixgen add"


@pytest.fixture(scope="module")
def ownvenv() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ownvenv", ROOT / "nix/builders/own/ownvenv.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def made(ownvenv: ModuleType, folder: Path, *, pip: bool) -> Path:
    environment = folder / "environment"
    venv.create(environment, symlinks=True)
    if pip:
        (site,) = environment.glob("lib/python3.*/site-packages")
        (site / "pip").mkdir()
        (site / "pip/__main__.py").write_text("import sys; print('pip ran:', *sys.argv[1:])\n")
        program = environment / "bin/pip"
        program.write_text(f"#!{environment}/bin/python\nimport sys; print('pip ran:', *sys.argv[1:])\n")
        program.chmod(0o755)
    place = folder / "project/.venv"
    place.parent.mkdir()
    ownvenv.make(str(place), str(environment), str(place.parent), [], "demo")
    return place


def run(place: Path, *words: str) -> tuple[int, str, str]:
    env = {**os.environ, "PATH": f"{place}/bin:{os.environ['PATH']}"}
    env.pop("PYTHONPATH", None)
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def first_of(folder: Path) -> str:
    """What comes before the venv's own folder in sys.path, as long as nothing was installed there."""
    (site,) = (folder / "environment").glob("lib/python3.*/site-packages")
    return str(site)


WAYS = (
    ("pip",),
    ("pip3",),
    ("python", "-m", "pip"),
    ("python", "-mpip"),
    ("python", "-I", "-W", "ignore", "-m", "pip"),
)


@pytest.mark.parametrize("pip", [True, False])
def test_every_way_to_install_ends_in_one_sentence(ownvenv: ModuleType, tmp_path: Path, *, pip: bool) -> None:
    place = made(ownvenv, tmp_path, pip=pip)
    for way in WAYS:
        expected = (1, "", f"{SAID} 'six>=1' idna\n")
        assert run(place, *way, "install", "-U", "six>=1", "--quiet", "idna") == expected, way
        assert run(place, *way, "-q", "install", "-r", "more.txt") == (1, "", f"{SAID} -r more.txt\n")
    (site,) = place.glob("lib/python3.*/site-packages")
    assert run(place, "python", "-c", "import sys; print(sys.path[-2:])")[1] == f"{[first_of(tmp_path), str(site)]}\n"
    assert run(place, "pip", "install") == (1, "", f"{SAID} NAME\n")
    assert run(place, "pip", "uninstall", "-y", "six")[2].endswith("To remove packages: nixgen remove six\n")


def test_pip_does_what_else_it_can(ownvenv: ModuleType, tmp_path: Path) -> None:
    place = made(ownvenv, tmp_path, pip=True)
    for way in (("pip",), ("python", "-m", "pip")):
        assert run(place, *way, "list", "install.txt") == (0, "pip ran: list install.txt\n", "")
        assert run(place, *way, "install", "--target", "x", "six") == (0, "pip ran: install --target x six\n", "")


def test_without_pip_it_says_so_and_never_runs_the_machines(ownvenv: ModuleType, tmp_path: Path) -> None:
    place = made(ownvenv, tmp_path, pip=False)
    for way in WAYS:
        code, out, err = run(place, *way, "list")
        assert (code, out) == (1, "")
        assert err.startswith("nixgen: there is no pip in this environment. ")


def test_other_programs_are_left_alone(ownvenv: ModuleType, tmp_path: Path) -> None:
    place = made(ownvenv, tmp_path, pip=False)
    script = tmp_path / "pip"
    script.write_text("import sys; print(*sys.argv[1:])\n")
    assert run(place, "python", str(script), "install", "six") == (0, "install six\n", "")
    assert run(place, "python", "-c", "print('pip')", "pip", "install") == (0, "pip\n", "")
    assert run(place, "python", "-m", "pipes_", "install")[2].endswith("No module named pipes_\n")
