"""The mark of a project that ``nixgen init --from`` has converted and not set up yet: the same command then goes on.

It is the first line of pyproject.toml, a comment, and says what to type.
"""

from __future__ import annotations

import re
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
    """The line for a project that was made of these files."""
    words = [word for source in sources for word in ("--from", source)] + (["--python", python] if python else [])
    return f"{_BEGINNING}{shlex.join(words)}\n".encode()


def read(root: Path, sources: Sequence[str]) -> Unfinished | None:
    """What is known of a conversion of these files, None where none was begun."""
    first = (files.read(root, "pyproject.toml") or b"").partition(b"\n")[0]
    found = re.fullmatch(re.escape(mark(sources, None).strip()) + rb"(?: --python (\S+))?", first)
    return Unfinished((found[1] or b"").decode(errors="replace") or None) if found else None


def without_mark(text: str) -> str:
    """pyproject.toml without that line."""
    return text.partition("\n")[2] if text.startswith(_BEGINNING) else text
