"""Specifiers and markers: plain ones, which nearly all of a lock are, are answered without packaging.

Its import takes 10 ms. Plain are releases of numbers and dots (PEP 440) with the ordering operators, and markers that
compare a variable with a text, joined by ``and`` within ``or`` (PEP 508), as uv writes them. packaging answers for all
others.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from packaging.markers import Marker
    from packaging.specifiers import SpecifierSet

Value = str | frozenset[str]
"""What a variable of markers holds: a text, or names (PEP 751)."""

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_RELEASE = r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,5}"
_SPECIFIER = rf"\s*([=!<>]=|<|>)\s*({_RELEASE})(\.\*)?\s*"
_ATOM = (
    r"(?:(python_version|python_full_version|implementation_version)"
    r"|(os_name|sys_platform|platform_machine|platform_system|platform_python_implementation|implementation_name))"
    r""" ([=!<>]=|<|>) (?:'([^'"(),\\\n]*)'|"([^'"(),\\\n]*)")"""
)


def allows(specifiers: str, version: str) -> bool:
    """Whether specifiers (">=3.11,<4") allow a release of Python. Raises ValueError for what are none."""
    plain = _all_allow(specifiers, version)
    return _specifiers(specifiers).contains(version, prereleases=True) if plain is None else plain


def holds(marker: str, variables: Mapping[str, Value]) -> bool:
    """Whether a marker holds. Raises ValueError for what is none."""
    parts = [_all_hold(part, variables) for part in marker.split(" or ")]
    if None in parts:
        return bool(_marker(marker).evaluate(dict(variables), context="lock_file"))
    return any(parts)


def _all_allow(specifiers: str, version: str) -> bool | None:
    if not re.fullmatch(_RELEASE, version):
        return None
    found = [_allows(one, version) for one in specifiers.split(",")]
    return None if None in found else all(found)


def _allows(specifier: str, version: str) -> bool | None:
    plain = re.fullmatch(_SPECIFIER, specifier, re.ASCII)
    if plain is None or (plain[3] and plain[1] not in {"==", "!="}):
        return None
    wanted, given = ([int(number) for number in text.split(".")] for text in (plain[2], version))
    longest = max(len(wanted), len(given))
    given += [0] * (longest - len(given))
    if plain[3]:
        given = given[: len(wanted)]
    wanted += [0] * (len(given) - len(wanted))
    return _OPERATORS[plain[1]](given, wanted)


def _all_hold(part: str, variables: Mapping[str, Value]) -> bool | None:
    if part.startswith("(") and part.endswith(")"):
        part = part[1:-1]
    found = [_compared(atom, variables) for atom in part.split(" and ")]
    return None if None in found else all(found)


def _compared(atom: str, variables: Mapping[str, Value]) -> bool | None:
    plain = re.fullmatch(_ATOM, atom)
    if plain is None:
        return None
    compare, text = plain[3], plain[4] if plain[4] is not None else plain[5]
    if plain[1]:
        return _all_allow(f"{compare}{text}", str(variables[plain[1]]))
    return _OPERATORS[compare](variables[plain[2]], text) if compare in {"==", "!="} else None


@lru_cache(maxsize=1024)
def _specifiers(text: str) -> SpecifierSet:
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(text)


@lru_cache(maxsize=65536)
def _marker(text: str) -> Marker:
    from packaging.markers import Marker

    return Marker(text)
