"""The user's folders: nixgen's own, where the XDG Base Directory Specification has them, and those that a person types.

A variable that is empty or a relative path does not count, as the specification says.
"""

from __future__ import annotations

import os
from pathlib import Path

from nixgen.errors import MachineError, UserError


def cache(*parts: str) -> Path:
    """Below ``$XDG_CACHE_HOME/nixgen``, else ``~/.cache/nixgen``: what can be made again."""
    return _base("XDG_CACHE_HOME", ".cache").joinpath("nixgen", *parts)


def config(*parts: str) -> Path:
    """Below ``$XDG_CONFIG_HOME/nixgen``, else ``~/.config/nixgen``: what is the user's."""
    return _base("XDG_CONFIG_HOME", ".config").joinpath("nixgen", *parts)


def typed(text: str) -> Path:
    """The absolute path that ``text`` means: ``~`` and ``~user`` expanded, links resolved. Raises UserError."""
    try:
        return Path(text).expanduser().resolve()
    except (RuntimeError, ValueError, OSError) as error:  # no such user; a NUL in it; links that go round
        why = f"there is no user {text.partition('/')[0][1:]!r}" if text.startswith("~") else str(error)
        raise UserError.of(text, f"is not a path: {why}", "write the whole path of a folder") from None


def _base(variable: str, below: str) -> Path:
    named = os.environ.get(variable, "")
    if named.startswith("/"):
        return Path(named)
    try:
        return Path.home() / below
    except RuntimeError:
        raise MachineError.of("", "this user has no home folder", f"set HOME or {variable}") from None
