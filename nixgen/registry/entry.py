"""What a registry's log says: one event each, as a line of canonical JSON, which is a leaf of the tree."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Self

from nixgen.errors import UserError
from nixgen.log.entry import EntryError
from nixgen.registry.names import Version, check_name

VERSION = 1
LONGEST = 1 << 18  # bytes of a line
KINDS = ("publish", "promote", "rollback", "deprecate", "approve")
_MOVES = {"promote", "rollback"}
_NEEDED = ("v", "kind", "model", "version", "at", "by")
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
_MANY = 1 << 16  # names and versions that are looked at once
_DIGEST = re.compile(r"[0-9a-f]{64}")
_AT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a policy, as it was found: its name, whether it held, what was measured, what was wanted."""

    name: str
    holds: bool
    value: str
    wanted: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An event. ``model`` is PROJECT/NAME, ``at`` in UTC (RFC 3339), ``by`` who did it, ``why`` in their words.

    ``digest`` is the SHA-256 of a version's checksum.txt, and with it of all its files. A move of ``alias`` names the
    version that it left (``previous``, "" for none) and how many moves of it there were (``serial``, from 1 on), so
    that of two who move it at once one is in conflict. ``run`` is what a version was made by; ``note`` an approval's
    signed text. ``override``: a condition of the policy did not hold, and ``why`` says why that was accepted.
    """

    kind: str
    model: str
    version: str
    at: str
    by: str
    why: str = ""
    digest: str = ""
    run: str = ""
    alias: str = ""
    previous: str = ""
    serial: int = 0
    verdict: tuple[Condition, ...] = ()
    override: bool = False
    note: str = ""
    conflict: bool = False

    @property
    def name(self) -> str:
        """What it is about, for sentences."""
        return f"{self.model}@{self.version}"

    def line(self) -> bytes:
        """The entry's one form: sorted keys, no blanks, nothing that has its usual value."""
        table: dict[str, Any] = {
            "v": VERSION,
            "kind": self.kind,
            "model": self.model,
            "version": self.version,
            "at": self.at,
            "by": self.by,
            "why": self.why,
            "digest": self.digest,
            "run": self.run,
            "alias": self.alias,
            "previous": self.previous,
            "serial": self.serial,
            "verdict": [[one.name, one.holds, one.value, one.wanted] for one in self.verdict],
            "override": self.override,
            "note": self.note,
            "conflict": self.conflict,
        }
        return _canonical({key: value for key, value in table.items() if value})

    @classmethod
    def parse(cls, line: bytes) -> Self:
        """The entry that this line is, in its one form. Raises EntryError."""
        try:
            table = json.loads(line.decode("ascii")) if len(line) <= LONGEST else None
        except (ValueError, RecursionError):
            table = None
        if not isinstance(table, dict):
            raise EntryError("is not an entry: it is not a line of JSON")
        number = table.get("v")
        if isinstance(number, int) and number > VERSION:
            raise EntryError(f"is of version {number}, and this nixgen knows {VERSION}: use a newer nixgen")
        fine = [key for key, value in table.items() if key in _CHECKS and _CHECKS[key](value)]
        if wrong := sorted({*table, *_NEEDED}.difference(fine)):
            raise EntryError(f"is not an entry: {', '.join(map(repr, wrong))} missing, unknown or impossible")
        fields = {key: value for key, value in table.items() if key not in {"v", "verdict"}}
        found = cls(**fields, verdict=tuple(Condition(*one) for one in table.get("verdict", ())))
        if (found.kind == "publish") != bool(found.digest):
            raise EntryError("is not an entry: only what is published has a digest")
        if not (found.kind in _MOVES) == bool(found.alias) == bool(found.serial):
            raise EntryError("is not an entry: a move has an alias and a serial number, and nothing else has")
        if _canonical(table) != line:  # each value was checked, so none is the usual one
            raise EntryError("is not an entry: it is not in canonical form")
        return found

    def keys(self) -> tuple[str, ...]:
        """What must have one content only: a version, and each move of an alias."""
        if self.kind == "publish":
            return (f"version {self.model}@{self.version}",)
        if self.kind in _MOVES:
            return (f"alias {self.model}@{self.alias} {self.serial}",)
        return (f"event {hashlib.sha256(self.marked(conflict=False).line()).hexdigest()}",)

    def content(self) -> str:
        """What must not differ: the bytes of a version; all of any other event."""
        return self.digest if self.kind == "publish" else self.marked(conflict=False).line().decode("ascii")

    def marked(self, *, conflict: bool) -> Self:
        """The same, in conflict or not."""
        return self if conflict == self.conflict else replace(self, conflict=conflict)


def _canonical(table: dict[str, Any]) -> bytes:
    return _ENCODER.encode(table).encode("ascii")


@lru_cache(_MANY)
def _is_name(text: str, what: str) -> bool:
    try:
        check_name(text, what)
    except UserError:
        return False
    return True


def _is_model(value: Any) -> bool:  # noqa: ANN401 -- any JSON value
    project, slash, name = value.partition("/") if isinstance(value, str) else ("", "", "")
    return bool(slash) and _is_name(project, "a project") and _is_name(name, "a model")


def _is_version(value: Any) -> bool:  # noqa: ANN401 -- the same
    return isinstance(value, str) and _parses(value)


@lru_cache(_MANY)
def _parses(text: str) -> bool:
    try:
        return bool(Version.parse(text))
    except UserError:
        return False


def _is_verdict(value: Any) -> bool:  # noqa: ANN401 -- the same
    return isinstance(value, list) and bool(value) and all(
        isinstance(one, list) and list(map(type, one)) == [str, bool, str, str] for one in value
    )  # fmt: skip


def _is_text(value: Any) -> bool:  # noqa: ANN401 -- the same
    return isinstance(value, str) and bool(value)


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "v": lambda value: type(value) is int and value == VERSION,
    "kind": lambda value: value in KINDS,
    "model": _is_model,
    "version": _is_version,
    "at": lambda value: isinstance(value, str) and _AT.fullmatch(value) is not None,
    "by": _is_text,
    "why": _is_text,
    "digest": lambda value: isinstance(value, str) and _DIGEST.fullmatch(value) is not None,
    "run": _is_text,
    "alias": lambda value: isinstance(value, str) and _is_name(value, "an alias"),
    "previous": _is_version,
    "serial": lambda value: type(value) is int and value > 0,
    "verdict": _is_verdict,
    "override": lambda value: value is True,
    "note": _is_text,
    "conflict": lambda value: value is True,
}
