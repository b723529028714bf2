"""Which builds need no compiler: in doubt, one does."""

from __future__ import annotations

import pytest

from nixgen.builds.pure import pure


@pytest.mark.parametrize(
    ("requires", "found"),
    [
        (["setuptools>=40.8.0", "wheel"], True),
        (["Flit_Core <4,>=3.2"], True),
        (["hatchling", "hatch-vcs; python_version >= '3.8'"], True),
        (["setuptools", "cffi>=1"], False),  # C in Python's strings
        (["hatchling", "hatch-mypyc"], False),
        (["setuptools", "numpy"], False),
        (["setuptools @ https://example.org/setuptools.zip"], True),
        (["./local"], False),
        ([], True),
    ],
)
def test_what_only_copies(requires: list[str], found: bool) -> None:  # noqa: FBT001
    assert pure(requires, compiled=False) is found
    assert not pure(requires, compiled=True)
