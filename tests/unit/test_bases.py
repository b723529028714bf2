"""What the bases say before anything is pinned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nixgen import bases
from nixgen.errors import UserError
from nixgen.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

DEBIAN = Settings(base="debian")
NIXPKGS = Settings()


def pick(settings: Settings, requires: str | None, root: Path, asked: str | None = None) -> str:
    return bases.pick_python(settings, requires, root, asked)


def test_the_newest_of_a_stable_suite_that_fits(tmp_path: Path) -> None:
    assert pick(DEBIAN, None, tmp_path) == "3.13"
    assert pick(DEBIAN, ">=3.11", tmp_path) == "3.13"
    assert pick(DEBIAN, ">=3.14", tmp_path) == "3.14"
    assert pick(Settings(base="debian", suite="forky"), ">=3.11", tmp_path) == "3.14"
    assert pick(DEBIAN, ">=3.11.4,<3.12", tmp_path) == "3.11"
    assert pick(DEBIAN, "==3.13.*", tmp_path) == "3.13"
    assert pick(Settings(base="debian", suite="trixie"), ">=3.11", tmp_path) == "3.13"
    assert pick(NIXPKGS, "~=3.12.0", tmp_path) == "3.12"


def test_what_is_named_first_counts(tmp_path: Path) -> None:
    (tmp_path / ".python-version").write_text("# ours\n3.11.9\n")
    assert pick(DEBIAN, ">=3.11", tmp_path) == "3.11"
    assert pick(Settings(base="debian", python="3.13"), ">=3.11", tmp_path) == "3.13"
    assert pick(Settings(base="debian", python="3.13"), ">=3.11", tmp_path, "3.14") == "3.14"


@pytest.mark.parametrize("text", ["", "pypy3.10\n", "3\n", "/usr/bin/python3\n"])
def test_a_python_version_file_that_says_nothing_to_us(tmp_path: Path, text: str) -> None:
    (tmp_path / ".python-version").write_text(text)
    assert pick(DEBIAN, ">=3.11", tmp_path) == "3.13"


@pytest.mark.parametrize(
    ("settings", "requires", "asked", "expected"),
    [
        (DEBIAN, None, "3.12", "--python: the debian base has no Python 3.12\n    use one of 3.13, 3.11, 3.14"),
        (
            Settings(base="debian", suite="bookworm", python="3.13"),
            None,
            None,
            "pyproject.toml: tool.nixgen.python: the debian base (suite bookworm) has no Python 3.13\n    use one of 3.11",
        ),
        (
            DEBIAN,
            ">=3.13",
            "3.11",
            '--python: Python 3.11 does not meet requires-python = ">=3.13"\n    use one of 3.13, 3.14',
        ),
        (
            DEBIAN,
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
    assert bases.default_glibc(DEBIAN, "3.11") == "2.36"
    assert bases.default_glibc(NIXPKGS, "3.11") == "2.42"
