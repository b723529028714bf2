"""Looks into TOML that others own: what has another type than expected counts as not there.

The owner (uv, a build backend) says what is wrong with its settings; nixgen only must not stumble over them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def lookup(value: Any, *keys: str) -> Any:  # noqa: ANN401 -- any TOML value
    """The value behind these keys, None where a key is missing or something on the way is not a table."""
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def table(value: object, *keys: str) -> Mapping[str, Any]:
    """The table behind these keys, an empty one where there is none."""
    found = lookup(value, *keys)
    return found if isinstance(found, Mapping) else {}


def strings(value: object) -> list[str]:
    """The strings of a list; a string stands for a list of itself, as many backends have it."""
    if isinstance(value, str):
        return [value]
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def tables(value: object) -> list[Mapping[str, Any]]:
    """The tables of a list."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
