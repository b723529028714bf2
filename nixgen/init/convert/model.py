"""What a file of another tool says, as far as uv can take it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Draft:
    """A uv project before it is locked.

    ``pyproject`` is its pyproject.toml; of ``pythons`` the first that uv can lock with is its ``requires-python``.
    ``files`` are written beside it, and ``reading`` has the words of ``uv add`` for those that uv is to read
    (requirements files). ``copies`` are folders and files of the old project that locking reads. ``pins`` are the old
    lock's versions, as requirements. ``hashes`` are those that the old files allow, by name and version. ``logins``
    are variables for uv, while it locks. ``notes`` say what was not carried over. ``python`` is the Python that was
    asked for ("3.11").
    """

    pyproject: str
    pythons: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    reading: tuple[tuple[str, ...], ...] = ()
    copies: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()
    hashes: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    logins: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    python: str | None = None


@dataclass(frozen=True, slots=True)
class Converted:
    """The new files, what could not be carried over, and the Python that the old files ask for."""

    pyproject: bytes
    uv_lock: bytes
    notes: tuple[str, ...]
    python: str | None


def there(path: Path, *, file: bool = False) -> bool:
    """Whether a file or folder is there (a ``file``), whatever somebody wrote as its name."""
    try:
        return path.is_file() if file else path.exists()
    except (OSError, ValueError):
        return False
