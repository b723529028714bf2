"""What a log's entries say under each key, remembered between runs.

It is a database beside the user's other caches, made from entries that were proven to be in the log; a push reads only
what is new since. It also remembers the last checkpoint that was seen on this machine: a log that does not go on from
it was tampered with, whether or not a project has recorded it. Losing the file loses nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Generic, Self

from nixgen.errors import MachineError
from nixgen.log.checkpoint import Checkpoint
from nixgen.log.entry import E, Entry, read
from nixgen.log.log import Log
from nixgen.log.note import NoteError
from nixgen.machine import folders

_DIGEST = 16  # bytes that tell a key or a content from all others
_BATCH = 200_000  # rows
_SCHEMA = """
PRAGMA synchronous = OFF;
CREATE TABLE IF NOT EXISTS said (key BLOB, content BLOB, PRIMARY KEY (key, content)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seen (size INTEGER NOT NULL, note TEXT NOT NULL);
PRAGMA user_version = 1;
PRAGMA cache_size = -100000;
"""
_VERSION = 1


class Seen(Generic[E]):
    """What a log says, as entries of a ``kind``. ``file`` keeps it between runs; without one it is read anew each time.

    One object is for one log.
    """

    def __init__(self, kind: type[E], file: Path | None = None) -> None:
        self._kind = kind
        self._file = file
        self._database: sqlite3.Connection | None = None

    @classmethod
    def of(cls, log: Log, kind: type[E]) -> Self:
        """What this user remembers of a log: a file of its own for each store and key."""
        name = hashlib.sha256(f"{log.storage.where}\n{log.verifier}".encode()).hexdigest()
        return cls(kind, folders.cache("logs", f"{name[:32]}.sqlite"))

    def update(self, log: Log) -> None:
        """Reads the entries that are new. Raises LogFinding when the log does not go on from what was seen."""
        database = self._opened()
        with self._guarded():
            row = database.execute("SELECT size, note FROM seen").fetchone()
            start = 0
            if row is not None:
                with contextlib.suppress(NoteError):
                    log.check(Checkpoint.unverified(row[1].encode()))
                    start = int(row[0])
            if start == log.size:
                return
            with database:
                if start == 0:
                    database.execute("DELETE FROM said")
                said = (
                    (key, _digest(entry.content())) for entry in read(log, self._kind, start) for key in _keys(entry)
                )
                while rows := list(islice(said, _BATCH)):
                    # In the database's own order, or each row is written to a page of its own.
                    database.executemany("INSERT OR IGNORE INTO said VALUES (?, ?)", sorted(rows))
                database.execute("DELETE FROM seen")
                checkpoint = log.checkpoint()
                database.execute("INSERT INTO seen VALUES (?, ?)", (log.size, checkpoint.note if checkpoint else ""))

    def contents(self, entry: E) -> set[bytes]:
        """What the log says under the entry's keys: a digest for each different content."""
        return {content for key in _keys(entry) for content in self._said(key)}

    def select(self, entries: Iterable[E]) -> tuple[tuple[E, ...], tuple[E, ...]]:
        """Of these entries, those that the log lacks, and those that it contradicts, whether it has them or not.

        What is contradicted has ``conflict`` set in both.
        """
        added: list[E] = []
        conflicts: list[E] = []
        new: dict[bytes, set[bytes]] = {}
        for entry in entries:
            content = _digest(entry.content())
            said = {key: self._said(key) | new.get(key, set()) for key in _keys(entry)}
            told = entry.marked(conflict=any(found - {content} for found in said.values()))
            if told.conflict:
                conflicts.append(told)
            if any(content not in found for found in said.values()):
                added.append(told)
                for key in said:
                    new.setdefault(key, set()).add(content)
        return tuple(added), tuple(conflicts)

    def close(self) -> None:
        """Lets go of the file."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _said(self, key: bytes) -> set[bytes]:
        with self._guarded():
            rows = self._opened().execute("SELECT content FROM said WHERE key = ?", (key,)).fetchall()
        return {row[0] for row in rows}

    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            try:
                self._database = _open(self._file)
            except (sqlite3.Error, OSError):
                # What is remembered is a convenience: without it the log is read from its beginning.
                self._database = _open(None)
        return self._database

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise MachineError.of(str(self._file or "memory"), f"cannot be used: {error}", "remove it") from None


def _open(file: Path | None) -> sqlite3.Connection:
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(file or ":memory:", timeout=60)
    try:
        if database.execute("PRAGMA user_version").fetchone()[0] not in (0, _VERSION):
            raise sqlite3.DatabaseError("another version")
        database.executescript(_SCHEMA)
    except sqlite3.Error:
        database.close()
        raise
    return database


def _keys(entry: Entry) -> list[bytes]:
    return [_digest(key) for key in entry.keys()]  # noqa: SIM118 -- no mapping


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:_DIGEST]
