"""What a log says: one store path each, as a line of canonical JSON, which is a leaf of the tree."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from nixgen.cache.merkle import leaf_hash

VERSION = 1
LONGEST = 1 << 20  # bytes of a line: a path with twenty thousand references
_NAME = r"[0-9abcdfghijklmnpqrsvwxyz]{32}-[0-9a-zA-Z+\-._?=]{1,211}"
_CHECKS: dict[str, Callable[[Any], bool]] = {
    "v": lambda value: value == VERSION and not isinstance(value, bool),
    "drv": lambda value: value is None or _matches(value, _NAME + r"(?<=\.drv)"),
    "output": lambda value: value is None or _matches(value, r"[0-9a-zA-Z+\-._?=]+"),
    "path": lambda value: _matches(value, _NAME),
    "narHash": lambda value: _matches(value, r"sha256-[A-Za-z0-9+/]{43}="),
    "narSize": lambda value: isinstance(value, int) and not isinstance(value, bool) and value > 0,
    "references": lambda value: (
        isinstance(value, list) and all(_matches(item, _NAME) for item in value) and value == sorted(set(value))
    ),
    "conflict": lambda value: value is True,
}


class EntryError(ValueError):
    """A line is no entry. Its sentence begins with a verb."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The bytes of one path. Names are without /nix/store; ``nar_hash`` is an SRI, ``nar_size`` in bytes.

    ``drv`` and ``output`` are None where nobody knows what built the path. ``references`` are sorted, the path
    itself included where it refers to itself. ``conflict``: the log had other bytes for the same path or output.
    """

    path: str
    nar_hash: str
    nar_size: int
    references: tuple[str, ...]
    drv: str | None = None
    output: str | None = None
    conflict: bool = False

    def line(self) -> bytes:
        """The entry's one form: sorted keys, no blanks, no newline."""
        table: dict[str, Any] = {
            "drv": self.drv,
            "narHash": self.nar_hash,
            "narSize": self.nar_size,
            "output": self.output,
            "path": self.path,
            "references": self.references,
            "v": VERSION,
        }
        if self.conflict:
            table["conflict"] = True
        return json.dumps(table, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def parse(cls, line: bytes) -> Self:
        """The entry that this line is, in its one form. Raises EntryError."""
        try:
            table = json.loads(line) if len(line) <= LONGEST else None
        except (ValueError, RecursionError):
            table = None
        if not isinstance(table, dict):
            raise EntryError("is not an entry: it is not a line of JSON")
        if isinstance(version := table.get("v"), int) and version > VERSION:
            raise EntryError(f"is of version {version}, and this nixgen knows {VERSION}: use a newer nixgen")
        wrong = sorted(
            key
            for key in {*_CHECKS, *table}
            if key not in _CHECKS or (not _CHECKS[key](table[key]) if key in table else key != "conflict")
        )
        if wrong:
            raise EntryError(f"is not an entry: {', '.join(map(repr, wrong))} missing, unknown or impossible")
        found = cls(
            path=table["path"],
            nar_hash=table["narHash"],
            nar_size=table["narSize"],
            references=tuple(table["references"]),
            drv=table["drv"],
            output=table["output"],
            conflict="conflict" in table,
        )
        if found.line() != line:
            raise EntryError("is not an entry: it is not in canonical form")
        return found

    def leaf(self) -> bytes:
        """The hash of the entry as a leaf of the tree."""
        return leaf_hash(self.line())


def _matches(value: object, pattern: str) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None
