"""Every suite that the debian base offers, built and entered: its Python, a library, and tools that start."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from lab import locked
from support.nix import SYSTEM, Nix
from support.project import Project

from nixgen.bases.debian import suites

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(not SYSTEM.endswith("-linux"), reason="the debian base is Linux"),
]
WANTED = """
[tool.nixgen]
base = "debian"
systems = ["{system}"]
suite = "{suite}"
tools = [{tools}]
libraries = [{libraries}]
"""
# gcc, where patchelf 0.18 (trixie's) spoilt cc1; the others are a program with several libraries, and one with none.
TOOLS = dict.fromkeys(suites.SUITES, ("git", "jq", "pv")) | {"trixie": ("gcc", "git", "jq", "pv")}
LIBRARIES = ("libsndfile1",)


def make(stores: Path, suite: str) -> Project:
    """The project of a suite, pinned once for all workers of a run."""
    folder = stores / f"suite-{suite}"
    with locked(stores / f"suite-{suite}.lock"):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            quoted = [", ".join(f'"{name}"' for name in names) for names in (TOOLS[suite], LIBRARIES)]
            more = WANTED.format(system=SYSTEM, suite=suite, tools=quoted[0], libraries=quoted[1])
            project = Project.make(folder, more=more)
            project.must("init", "--base", "debian", "--ci", "none")
            (folder / "done").touch()
    Project(folder).must("generate")
    return Project(folder)


@pytest.fixture(params=sorted(suites.SUITES))
def suite(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_environment_of_each_suite_with_a_library_and_tools(suite: str, nix28: Nix, stores: Path) -> None:
    """Case 60: on trixie each project with tools or libraries failed, and cc1 was spoilt."""
    project = make(stores, suite)
    code = "import ctypes.util, locale, sys; ctypes.CDLL(ctypes.util.find_library('sndfile'))"
    code += "; locale.setlocale(locale.LC_ALL, 'C.UTF-8'); print('Python', *sys.version_info[:2])"
    commands = [f'python -c "{code}"', "echo 3 | jq .+4", "git --version", "pv --version"]
    commands += ['echo "int f(void) { return 3; }" | gcc -x c -S -o - -'] if "gcc" in TOOLS[suite] else []
    said = nix28.shell(project.folder, " && ".join(commands)).stdout.splitlines()
    major, minor = suites.SUITES[suite].pythons[0].split(".")
    assert said[:2] == [f"Python {major} {minor}", "7"]
    assert said[2].startswith("git version")
    assert said[3].startswith("pv ")
    assert ("f:" in said) is ("gcc" in TOOLS[suite])
