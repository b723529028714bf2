"""Which Python a new project gets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nixgen.errors import UserError

_REQUEST = re.compile(r"(?:(?:cpython|python|cp|py)[@-]?)?(3)\.?([0-9]{1,2})(?:\.[0-9]+)?(?:[-+].*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Choice:
    """A Python version ("3.11") and where it was found, in words."""

    version: str
    reason: str


def choose(
    *,
    option: str | None,
    setting: str | None,
    version_file: str | None,
    requires: str | None,
    available: Sequence[str],
    base: str,
) -> Choice:
    """The first of: ``--python``, the setting, .python-version's text, the first available one that fits.

    ``requires`` is requires-python; ``available`` are the base's versions, the preferred one first. Raises UserError
    when what was asked for is not a version, does not meet requires-python, or is not in the base.
    """
    asked = [
        ("--python", option),
        ("pyproject.toml: tool.nixgen.python", setting),
        (".python-version", _first_line(version_file)),
    ]
    for where, text in asked:
        if text:
            version = parse(text, where)
            _check(where, version, requires, available, base)
            return Choice(version, where.replace("pyproject.toml: ", ""))
    for version in available:
        if _meets(version, requires):
            return Choice(version, f"the newest that the {base} base and requires-python allow")
    raise UserError.of(
        "pyproject.toml: project.requires-python",
        f'is "{requires}", and the {base} base has {", ".join(available)}',
        "change it, or take another base: --base nixpkgs or --base debian",
    )


def parse(text: str, where: str) -> str:
    """The version "3.11" that a request for a Python names, in uv's forms (``3.11.4``, ``cpython@3.11``, ``py311``).

    Raises UserError for another implementation, a range and anything else.
    """
    match = _REQUEST.fullmatch(text.strip())
    if match is None:
        raise UserError.of(where, f'"{text}" does not name a version of CPython', 'write it like "3.11"')
    return f"{match[1]}.{match[2]}"


def _first_line(text: str | None) -> str | None:
    lines = [line.partition("#")[0].strip() for line in (text or "").splitlines()]
    return next(filter(None, lines), None)


def _check(where: str, version: str, requires: str | None, available: Sequence[str], base: str) -> None:
    if not _meets(version, requires):
        what = f'asks for Python {version}, and requires-python is "{requires}"'
        raise UserError.of(where, what, "change one of them, or choose with --python")
    if version not in available:
        what = f"asks for Python {version}, and the {base} base has {', '.join(available)}"
        raise UserError.of(where, what, "choose one of these with --python, or take another base with --base")


def _meets(version: str, requires: str | None) -> bool:
    """Whether some release of this minor version is allowed (PEP 440); 3.11 meets ">=3.11.4"."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        allowed = SpecifierSet(requires or "")
    except InvalidSpecifier:
        mend = 'write it like ">=3.11"'
        raise UserError.of(
            "pyproject.toml: project.requires-python", f'"{requires}" is not a specifier', mend
        ) from None
    return any(allowed.contains(f"{version}.{patch}") for patch in range(64))
