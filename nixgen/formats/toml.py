"""TOML 1.0, read once and in one way: by a compiled reader, and what it cannot read is one error with a sentence."""

from __future__ import annotations

from typing import Any

import tomli

_DEEPEST = 100
"""Tables and lists in each other: what a person writes has five."""

_LARGEST = 1 << 63  # TOML's integers have 64 bits


class TomlError(ValueError):
    """The text is not TOML, or nests further than anybody means to. The message says what and, often, where."""


def loads(text: str) -> dict[str, Any]:
    """The table that a text is. Raises TomlError."""
    try:
        found = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise TomlError(str(error)) from None
    except RecursionError:
        raise TomlError(_TOO_DEEP) from None
    except ValueError:
        raise TomlError(_TOO_LARGE) from None
    _check(found)
    return found


_TOO_DEEP = f"it nests more than {_DEEPEST} tables and lists in each other"
_TOO_LARGE = "it has a number of more than 64 bits"


def _check(value: dict[str, Any]) -> None:
    """Refuses what tomli takes; level by level, since a recursion could be too deep itself."""
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        inner = [item for outer in level for item in (outer.values() if isinstance(outer, dict) else outer)]
        if any(type(item) is int and not -_LARGEST <= item < _LARGEST for item in inner):
            raise TomlError(_TOO_LARGE)
        level = [item for item in inner if isinstance(item, dict | list)]
        if not level:
            return
    raise TomlError(_TOO_DEEP)
