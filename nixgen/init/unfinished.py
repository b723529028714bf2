"""The mark of a project that ``nixgen init --from`` has converted and not set up yet: the same command then goes on.

It is the first line of pyproject.toml, a comment, and says what to type.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nixgen.machine import files

_BEGINNING = "# Not set up yet; to go on: nixgen init "


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What a run had found out that did not come to its end: the Python that the old files ask for."""

    python: str | None


def mark(sources: Sequence[str], python: str | None) -> bytes:
    """The line for a project that was made of these files; none where a name has what no comment may have."""
    line = f"{_BEGINNING}{shlex.join([*_named(sources), *(['--python', python] if python else [])])}"
    return f"{line}\n".encode() if line.isprintable() else b""


def read(root: Path, sources: Sequence[str]) -> Unfinished | None:
    """What is known of a conversion of these files, None where none was begun."""
    first = (files.read(root, "pyproject.toml") or b"").partition(b"\n")[0].decode(errors="replace")
    try:
        words = shlex.split(first.removeprefix(_BEGINNING)) if first.startswith(_BEGINNING) else []
    except ValueError:  # a quote without its end
        return None
    named = _named(sources)
    if words[: len(named)] != named:
        return None
    match words[len(named) :]:
        case []:
            return Unfinished(None)
        case ["--python", python]:
            return Unfinished(python)
    return None


def _named(sources: Sequence[str]) -> list[str]:
    return [word for source in sources for word in ("--from", source)]


def without_mark(text: str) -> str:
    """pyproject.toml without that line."""
    return text.partition("\n")[2] if text.startswith(_BEGINNING) else text
