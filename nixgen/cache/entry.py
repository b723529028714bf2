"""What a log says: one store path each, as a line of canonical JSON, which is a leaf of the tree."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Self

from nixgen.log import entry as entries
from nixgen.log.entry import EntryError
from nixgen.log.log import Log

VERSION = 1
LONGEST = 1 << 20  # bytes of a line: a path with twenty thousand references
LARGEST = (1 << 63) - 1
_NAME = r"[0-9abcdfghijklmnpqrsvwxyz]{32}-[0-9a-zA-Z+\-._?=]{1,211}"
_OUTPUT = r"[0-9a-zA-Z+\-._?=]+"
_HASH = r"sha256-[A-Za-z0-9+/]{43}="
_PLAIN = re.compile(r"[0-9a-zA-Z+\-._?=/]*")
_CHECKS: dict[str, Callable[[Any], bool]] = {
    "v": lambda value: value == VERSION and not isinstance(value, bool),
    "drv": lambda value: value is None or _matches(value, _NAME + r"(?<=\.drv)"),
    "output": lambda value: value is None or _matches(value, _OUTPUT),
    "path": lambda value: _matches(value, _NAME),
    "narHash": lambda value: _matches(value, _HASH),
    "narSize": lambda value: isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LARGEST,
    "references": lambda value: (
        isinstance(value, list) and all(_matches(item, _NAME) for item in value) and value == sorted(set(value))
    ),
    "conflict": lambda value: value is True,
}
# None of what may stand in an entry is escaped in JSON, so the one form of a line can be told by its letters. Reading
# a log is reading a million of them: this takes a fifth of the time of parsing and writing each.
_LINE = re.compile(
    rf'{{(?P<conflict>"conflict":true,)?"drv":(?:null|"(?P<drv>{_NAME}(?<=\.drv))"),"narHash":"(?P<hash>{_HASH})",'
    rf'"narSize":(?P<size>[1-9][0-9]{{0,18}}),"output":(?:null|"(?P<output>{_OUTPUT})"),"path":"(?P<path>{_NAME})",'
    rf'"references":\[(?P<references>(?:"{_NAME}"(?:,"{_NAME}")*)?)\],"v":{VERSION}}}'
)


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
        conflict = '"conflict":true,' if self.conflict else ""
        return (
            f'{{{conflict}"drv":{_text(self.drv)},"narHash":{_text(self.nar_hash)},"narSize":{self.nar_size},'
            f'"output":{_text(self.output)},"path":{_text(self.path)},'
            f'"references":[{",".join(map(_text, self.references))}],"v":{VERSION}}}'
        ).encode()

    @classmethod
    def parse(cls, line: bytes) -> Self:
        """The entry that this line is, in its one form. Raises EntryError."""
        try:
            found = cls._of(line)
        except UnicodeDecodeError:
            found = None
        if found is None:
            raise EntryError(_why_not(line))
        return found

    @classmethod
    def _of(cls, line: bytes) -> Self | None:
        matched = _LINE.fullmatch(line.decode("ascii")) if len(line) <= LONGEST else None
        if matched is None:
            return None
        conflict, drv, nar_hash, size, output, path, inner = matched.groups()
        references = tuple(inner[1:-1].split('","')) if inner else ()
        if int(size) > LARGEST or any(one >= other for one, other in pairwise(references)):
            return None
        return cls(path, nar_hash, int(size), references, drv, output, conflict is not None)

    @property
    def name(self) -> str:
        """The path, for sentences."""
        return self.path

    def keys(self) -> tuple[str, ...]:
        """What must have one content only: the path, and the output of a derivation where that is known."""
        path = f"path {self.path}"
        return (path,) if self.drv is None else (path, f"output {self.drv}!{self.output}")

    def content(self) -> str:
        """What must not differ for one path: its bytes, and what it refers to."""
        return f"{self.nar_hash} {self.nar_size} {' '.join(self.references)}"

    def marked(self, *, conflict: bool) -> Self:
        """The same, in conflict or not."""
        return self if conflict == self.conflict else replace(self, conflict=conflict)


def read(log: Log, start: int = 0) -> Iterator[Entry]:
    """What a cache's log says, in its order. Raises LogFinding when it is not what its checkpoint says."""
    return entries.read(log, Entry, start)


def _why_not(line: bytes) -> str:
    """What is wrong with a line that is no entry."""
    try:
        table = json.loads(line) if len(line) <= LONGEST else None
    except (ValueError, RecursionError):
        table = None
    if not isinstance(table, dict):
        return "is not an entry: it is not a line of JSON"
    if isinstance(version := table.get("v"), int) and version > VERSION:
        return f"is of version {version}, and this nixgen knows {VERSION}: use a newer nixgen"
    wrong = sorted(
        key
        for key in {*_CHECKS, *table}
        if key not in _CHECKS or (not _CHECKS[key](table[key]) if key in table else key != "conflict")
    )
    if wrong:
        return f"is not an entry: {', '.join(map(repr, wrong))} missing, unknown or impossible"
    return "is not an entry: it is not in canonical form"


def _text(value: str | None) -> str:
    """JSON's; quick for what needs no escaping, which is all that may stand in an entry."""
    if value is None:
        return "null"
    return f'"{value}"' if _PLAIN.fullmatch(value) else json.dumps(value)


def _matches(value: object, pattern: str) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None
