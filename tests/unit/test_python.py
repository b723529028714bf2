"""Which Python a new project gets, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from nixgen.errors import UserError
from nixgen.python import Choice, choose, parse

AVAILABLE = ("3.13", "3.11", "3.14")


def chosen(**given: Any) -> Choice:
    values = {"option": None, "setting": None, "version_file": None, "requires": None, "available": AVAILABLE}
    return choose(**{**values, "base": "debian", **given})


@pytest.mark.parametrize(
    ("given", "version", "reason"),
    [
        ({"option": "3.11", "setting": "3.13", "version_file": "3.14"}, "3.11", "--python"),
        ({"setting": "3.13", "version_file": "3.14"}, "3.13", "tool.nixgen.python"),
        ({"version_file": "# which\n\n3.14.1 # newest\n3.11\n"}, "3.14", ".python-version"),
        ({"version_file": "\n"}, "3.13", "the newest that the debian base and requires-python allow"),
        ({"requires": ">=3.11,<3.13"}, "3.11", "the newest that the debian base and requires-python allow"),
        ({"requires": "==3.11.4"}, "3.11", "the newest that the debian base and requires-python allow"),
        ({"requires": ">3.13.40"}, "3.13", "the newest that the debian base and requires-python allow"),
    ],
)
def test_the_order_of_the_places(given: dict[str, Any], version: str, reason: str) -> None:
    assert chosen(**given) == Choice(version, reason)


@pytest.mark.parametrize(
    "text", ["3.11", "3.11.4", "cpython@3.11", "cpython-3.11.4-linux-x86_64-gnu", "py311", "cp311", "python3.11"]
)
def test_the_forms_of_a_request(text: str) -> None:
    assert parse(text, "x") == "3.11"


@pytest.mark.parametrize("text", ["pypy3.10", ">=3.11", "2.7", "3", "latest", "3.11; evil", "/usr/bin/python3"])
def test_other_requests_are_refused(text: str) -> None:
    with pytest.raises(UserError) as caught:
        chosen(version_file=text)
    assert str(caught.value) == (
        f'.python-version: "{text}" does not name a version of CPython\n    write it like "3.11"'
    )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"option": "3.10"},
            "--python: asks for Python 3.10, and the debian base has 3.13, 3.11, 3.14\n"
            "    choose one of these with --python, or take another base with --base",
        ),
        (
            {"version_file": "3.11", "requires": ">=3.13"},
            '.python-version: asks for Python 3.11, and requires-python is ">=3.13"\n'
            "    change one of them, or choose with --python",
        ),
        (
            {"requires": "<3.11"},
            'pyproject.toml: project.requires-python: is "<3.11", and the debian base has 3.13, 3.11, 3.14\n'
            "    change it, or take another base: --base nixpkgs or --base debian",
        ),
        (
            {"requires": "three"},
            'pyproject.toml: project.requires-python: "three" is not a specifier\n    write it like ">=3.11"',
        ),
    ],
)
def test_what_cannot_be_met(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        chosen(**given)
    assert str(caught.value) == sentence
