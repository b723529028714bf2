"""What the bases say before anything is pinned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from nixgen import bases
from nixgen.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Settings:
    """The fields of nixgen.settings.Settings that the bases read."""

    base: str = "debian"
    python: str | None = None
    suite: str | None = None
    nixpkgs: str | None = None


def pick(settings: Settings, requires: str | None, root: Path, asked: str | None = None) -> str:
    value: Any = settings
    return bases.pick_python(value, requires, root, asked)


def test_the_newest_of_a_stable_suite_that_fits(tmp_path: Path) -> None:
    assert pick(Settings(), None, tmp_path) == "3.13"
    assert pick(Settings(), ">=3.11", tmp_path) == "3.13"
    assert pick(Settings(), ">=3.14", tmp_path) == "3.14"
    assert pick(Settings(suite="forky"), ">=3.11", tmp_path) == "3.14"
    assert pick(Settings(), ">=3.11.4,<3.12", tmp_path) == "3.11"
    assert pick(Settings(), "==3.13.*", tmp_path) == "3.13"
    assert pick(Settings(suite="trixie"), ">=3.11", tmp_path) == "3.13"
    assert pick(Settings(base="nixpkgs"), "~=3.12.0", tmp_path) == "3.12"


def test_what_is_named_first_counts(tmp_path: Path) -> None:
    (tmp_path / ".python-version").write_text("# ours\n3.11.9\n")
    assert pick(Settings(), ">=3.11", tmp_path) == "3.11"
    assert pick(Settings(python="3.13"), ">=3.11", tmp_path) == "3.13"
    assert pick(Settings(python="3.13"), ">=3.11", tmp_path, "3.14") == "3.14"


@pytest.mark.parametrize("text", ["", "pypy3.10\n", "3\n", "/usr/bin/python3\n"])
def test_a_python_version_file_that_says_nothing_to_us(tmp_path: Path, text: str) -> None:
    (tmp_path / ".python-version").write_text(text)
    assert pick(Settings(), ">=3.11", tmp_path) == "3.13"


@pytest.mark.parametrize(
    ("settings", "requires", "asked", "expected"),
    [
        (Settings(), None, "3.12", "--python: the debian base has no Python 3.12\n    use one of 3.13, 3.11, 3.14"),
        (
            Settings(suite="bookworm", python="3.13"),
            None,
            None,
            "pyproject.toml: tool.nixgen.python: the debian base (suite bookworm) has no Python 3.13\n    use one of 3.11",
        ),
        (
            Settings(),
            ">=3.13",
            "3.11",
            '--python: Python 3.11 does not meet requires-python = ">=3.13"\n    use one of 3.13, 3.14',
        ),
        (
            Settings(),
            "<3.10",
            None,
            'pyproject.toml: project.requires-python: "<3.10" allows none of the Python versions of the debian base: '
            "3.13, 3.11, 3.14\n    change requires-python, or use another base",
        ),
    ],
)
def test_what_does_not_fit(
    settings: Settings, requires: str | None, asked: str | None, expected: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        pick(settings, requires, tmp_path, asked)
    assert str(caught.value) == expected


def test_defaults() -> None:
    debian: Any = Settings()
    nixpkgs: Any = Settings(base="nixpkgs")
    assert bases.default_systems(debian) == ("aarch64-linux", "x86_64-linux")
    assert bases.default_systems(nixpkgs) == ("aarch64-darwin", "aarch64-linux", "x86_64-darwin", "x86_64-linux")
    assert bases.default_glibc(debian, "3.11") == "2.36"
    assert bases.default_glibc(nixpkgs, "3.11") == "2.42"
