"""What packages are known to need becomes settings, when it is asked for the first time."""

from __future__ import annotations

from pathlib import Path

import pytest
from projects import PYPROJECT, make
from support.plans import DEBIAN

from nixgen.builds.known import known as needs
from nixgen.builds.model import Build, Builds
from nixgen.lock import known, pinning
from nixgen.lock.model import Lock
from nixgen.project.project import Project, find_project
from nixgen.resolve.model import Package, Resolution, Target

SETTINGS = """
[tool.nixgen]
base = "debian"
python = "3.13"
libraries = ["libtbb12"]

[tool.nixgen.packages.psycopg2]
env = {PG = "1"}

[tool.nixgen.packages.thrift]
timeout = 60
"""
SOURCE = Package("psycopg2", "2.9.10", "sdist")
FOUND = Resolution(Target("x86_64-linux", "3.13"), (SOURCE, Package("numpy", "2.0", "wheel")), ())


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return find_project(make(tmp_path, PYPROJECT + SETTINGS))


def test_what_is_added_leaves_what_is_there(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    values = known.needs(project, "3.13", FOUND.packages)
    assert values == {
        "packages": {"psycopg2": {"env": {"PG": "1"}, "build-libraries": ["libpq-dev"]}, "thrift": {"timeout": 60}},
        "libraries": ["libtbb12", "libpq5"],
    }
    assert "Adding to pyproject.toml" in capsys.readouterr().err
    # What is written is found again, and nothing is added a second time.
    assert known.needs(project.with_settings(values), "3.13", FOUND.packages) == {}


def test_bookworm_has_its_own_names() -> None:
    (row,) = needs(["pygobject"], "bookworm")
    assert row.build_libraries == ("libcairo2-dev", "libgirepository1.0-dev")
    assert row.libraries == ("libcairo2", "libgirepository-1.0-1")
    assert needs(["pygobject"], "trixie") != (row,)


def test_a_source_with_pins_had_its_chance() -> None:
    """Who takes a library out again, on purpose, is not given it by the next ``nixgen lock``."""
    pins = Builds((Build("psycopg2", "2.9.9", "https://f.example.org/p.tar.gz", 1, "", {}),))
    assert list(pinning._unpinned([FOUND], None)) == [SOURCE]
    assert list(pinning._unpinned([FOUND], Lock(DEBIAN))) == [SOURCE]
    assert list(pinning._unpinned([FOUND], Lock(DEBIAN, builds=pins))) == []
