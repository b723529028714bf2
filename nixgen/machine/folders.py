"""The user's folders: nixgen's own, where the XDG Base Directory Specification has them, and those that a person types.

A variable that is empty or a relative path does not count, as the specification says.
"""

from __future__ import annotations

import errno
import os
import shlex
import sys
from pathlib import Path

from nixgen.errors import MachineError, UserError


def cache(*parts: str) -> Path:
    """Below ``$XDG_CACHE_HOME/nixgen``, else ``~/.cache/nixgen``: what can be made again."""
    return _base("XDG_CACHE_HOME", ".cache").joinpath("nixgen", *parts)


def config(*parts: str) -> Path:
    """Below ``$XDG_CONFIG_HOME/nixgen``, else ``~/.config/nixgen``: what is the user's."""
    return _base("XDG_CONFIG_HOME", ".config").joinpath("nixgen", *parts)


def jupyter(*parts: str) -> Path:
    """Below the folder of this user where Jupyter, and editors like it, look for kernels (``jupyter --data-dir``)."""
    named = os.environ.get("JUPYTER_DATA_DIR", "")
    if named:
        return Path(named).absolute().joinpath(*parts)
    if sys.platform == "darwin":
        return Path.home().joinpath("Library", "Jupyter", *parts)
    return _base("XDG_DATA_HOME", ".local/share").joinpath("jupyter", *parts)


def typed(text: str) -> Path:
    """The absolute path that ``text`` means: ``~`` and ``~user`` expanded, links resolved. Raises UserError."""
    try:
        return resolved(Path(text).expanduser())
    except (RuntimeError, ValueError, OSError) as error:  # no such user; a NUL in it; links that go round
        why = "it has a NUL byte" if "\0" in text else str(error)
        if text.startswith("~"):
            why = f"there is no user {text.partition('/')[0][1:]!r}"
        raise UserError.of(text, f"is not a path: {why}", "write the whole path of a folder") from None


def resolved(path: Path) -> Path:
    """``path.resolve()``, which since Python 3.13 no longer says that links go round.

    Raises OSError where they do, and ValueError for a NUL byte.
    """
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise
    return path.resolve()


def check_temporary() -> None:
    """Raises MachineError where $TMPDIR is no folder to write to: every program that is started would fail at it."""
    named = os.environ.get("TMPDIR", "")
    if not named:
        return
    place = Path(named)
    made = f"mkdir -p {shlex.quote(named)}, or: " if place.is_absolute() else ""
    if not place.is_absolute():
        wrong = "which is not a path that starts with /"
    elif not os.path.lexists(place):
        wrong = "a folder that is not there"
    elif not place.is_dir():
        wrong, made = "which is not a folder", ""
    elif not os.access(place, os.W_OK | os.X_OK):
        wrong, made = "a folder that cannot be written to", ""
    else:
        return
    raise MachineError.of("TMPDIR", f"names {named}, {wrong}", f"{made}unset TMPDIR")


def _base(variable: str, below: str) -> Path:
    named = os.environ.get(variable, "")
    if named.startswith("/"):
        return Path(named)
    try:
        return Path.home() / below
    except RuntimeError:
        raise MachineError.of("", "this user has no home folder", f"set HOME or {variable}") from None
