"""What a log is a log of: each entry is one line, which is a leaf of the tree; what is in it, the caller defines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, Self, TypeVar

from nixgen.log.findings import damaged
from nixgen.log.log import Log

E = TypeVar("E", bound="Entry")


class EntryError(ValueError):
    """A line is no entry. Its sentence begins with a verb."""


class Entry(Protocol):
    """One thing that a log says. Two entries with a key in common and different contents are in conflict."""

    @property
    def name(self) -> str:
        """What it is about, for sentences."""
        ...

    @property
    def conflict(self) -> bool:
        """Whether the log had another content under one of its keys."""
        ...

    @classmethod
    def parse(cls, line: bytes) -> Self:
        """The entry that this line is, in its one form. Raises EntryError."""
        ...

    def line(self) -> bytes:
        """The entry's one form, without a newline."""
        ...

    def keys(self) -> tuple[str, ...]:
        """What must have one content only."""
        ...

    def content(self) -> str:
        """What must not differ."""
        ...

    def marked(self, *, conflict: bool) -> Self:
        """The same entry, in conflict or not."""
        ...


def read(log: Log, kind: type[E], start: int = 0, having: bytes = b"") -> Iterator[E]:
    """The entries of a log from ``start`` on, in order; with ``having``, those that have these bytes in their line.

    Raises LogFinding for what is not the log's, or no entry.
    """
    for index, line in enumerate(log.lines(start), start):
        if having not in line:
            continue
        try:
            yield kind.parse(line)
        except EntryError as error:
            raise damaged(f"{log.storage.where}: entry {index}", str(error)) from None
