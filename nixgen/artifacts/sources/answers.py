"""What servers answer, typed at the border: an answer of another shape is one plain sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nixgen.errors import MachineError


class UnexpectedError(MachineError):
    """A server's answer has not the shape that its interface promises."""


def mapping(value: object, whose: str) -> Mapping[str, Any]:
    """``value`` as a JSON object. Raises UnexpectedError; ``whose`` says whose answer it is."""
    if not isinstance(value, dict):
        raise _unexpected(whose, "an object", value)
    return value


def sequence(value: object, whose: str) -> list[Any]:
    """``value`` as a JSON array."""
    if not isinstance(value, list):
        raise _unexpected(whose, "a list", value)
    return value


def text(table: Mapping[str, Any], key: str, whose: str) -> str:
    """The string under a key."""
    value = table.get(key)
    if not isinstance(value, str):
        raise _unexpected(f"{whose}: {key}", "a text", value)
    return value


def count(table: Mapping[str, Any], key: str, whose: str) -> int:
    """The whole number, not negative, under a key."""
    value = table.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise _unexpected(f"{whose}: {key}", "a whole number", value)
    return value


def hexadecimal(table: Mapping[str, Any], key: str, digits: int, whose: str) -> str:
    """The string of so many lower-case hexadecimal digits under a key: 40 for a git id, 64 for a SHA-256."""
    value = table.get(key)
    if not is_hexadecimal(value, digits):
        raise _unexpected(f"{whose}: {key}", f"{digits} hexadecimal digits", value)
    return str(value)


def is_hexadecimal(value: object, digits: int) -> bool:
    """Whether a value is a string of so many lower-case hexadecimal digits."""
    return isinstance(value, str) and len(value) == digits and not set(value) - set("0123456789abcdef")


def _unexpected(whose: str, expected: str, value: object) -> UnexpectedError:
    shown = ascii(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."  # noqa: PLR2004 -- one line of a terminal
    return UnexpectedError.of(
        whose, f"should be {expected} in the server's answer, and is {shown}", "nothing was pinned"
    )
