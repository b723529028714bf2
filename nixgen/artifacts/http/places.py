"""Where the bytes of a download go until they are checked: a small file's into memory, a large one's onto the disk.

A file on the disk has a name made from what identifies the download, so that a later run finds it and goes on.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nixgen.artifacts.store import Found
from nixgen.errors import MachineError
from nixgen.machine.download import CHUNK


class DiskError(MachineError):
    """There is no room, or no permission: another connection to the server would not help."""


class Memory:
    """The bytes of a small file, which is read again rather than resumed."""

    def __init__(self) -> None:
        self._data = bytearray()

    def begin(self) -> tuple[str | None, Iterator[bytes]]:
        """Nothing is left of an earlier run."""
        return None, iter(())

    def write(self, data: bytes) -> None:
        """Appends bytes."""
        self._data += data

    def restart(self) -> None:
        """Forgets the bytes."""
        self._data.clear()

    def remember(self, etag: str | None) -> None:
        """Not kept."""

    def whole(self, found: Found, scratch: Path) -> Found:
        """Writes the file, under a name of its own."""
        try:
            scratch.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix="whole-", dir=scratch)
            with os.fdopen(handle, "wb") as file:
                file.write(self._data)
        except OSError as error:
            raise MachineError.of(str(scratch), f"cannot be written: {error.strerror}", "make room") from None
        return Found(Path(name), found.sha256, found.size)


@dataclass(frozen=True, slots=True)
class Place:
    """The file that a download goes to, and beside it the validator of what it holds."""

    path: Path
    file: BinaryIO

    @property
    def _note(self) -> Path:
        return self.path.with_suffix(".etag")

    def size(self) -> int:
        """How many bytes are there."""
        return os.fstat(self.file.fileno()).st_size

    def begin(self) -> tuple[str | None, Iterator[bytes]]:
        """What an earlier run left: the validator, and the bytes."""
        self.file.seek(0)
        return self._note.read_text() if self._note.is_file() else None, iter(lambda: self.file.read(CHUNK), b"")

    def write(self, data: bytes) -> None:
        """Raises MachineError when the disk is full."""
        try:
            self.file.write(data)
        except OSError as error:
            raise DiskError.of(str(self.path.parent), f"cannot be written: {error.strerror}", "make room") from None

    def restart(self) -> None:
        """Forgets the bytes."""
        self.file.seek(0)
        self.file.truncate()

    def remember(self, etag: str | None) -> None:
        """Keeps the validator of what is being written."""
        if etag is None:
            self._note.unlink(missing_ok=True)
        else:
            self._note.write_text(etag)

    def drop(self) -> None:
        """Forgets what is there."""
        self.restart()
        self.remember(None)

    def whole(self, found: Found) -> Found:
        """Gives the file a name of its own, which no other process goes on with."""
        self.file.flush()
        self.remember(None)
        handle, name = tempfile.mkstemp(prefix="whole-", dir=self.path.parent)
        os.close(handle)
        self.path.replace(name)
        return Found(Path(name), found.sha256, found.size)


@contextlib.contextmanager
def place(scratch: Path, key: str) -> Iterator[Place]:
    """The place of the download that ``key`` identifies, which no other process uses meanwhile."""
    path = scratch / f"{hashlib.sha256(key.encode()).hexdigest()}.part"
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        while True:
            with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if not _same(file, path):  # another process has had it, and took it away whole
                    continue
                try:
                    yield Place(path, file)
                finally:
                    if _same(file, path) and not os.fstat(file.fileno()).st_size:
                        path.unlink()
                return
    except OSError as error:
        raise MachineError.of(str(error.filename or scratch), f"cannot be written: {error.strerror}") from None


def _same(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
