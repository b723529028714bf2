"""Files on their way: resumed where a connection broke off, hashed while they stream, never held in memory.

A file whose bytes are kept lies in a scratch folder, under a name made from its address and from what it must be,
until it is whole and checked. A run that was interrupted leaves it there, and the next one goes on behind it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO

from nixgen import download
from nixgen.artifacts.sources.web import Answer, Client, unreachable
from nixgen.artifacts.store import Found
from nixgen.errors import MachineError, UserError

CHUNK = 1 << 20
_SMALL = 1 << 20  # bytes
_BARREN = 5  # connections in a row that bring nothing
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")

Progress = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file to read, and what it must be, as far as that is known.

    ``blob`` is its git blob id: the SHA-1 of "blob SIZE", a NUL and the content. ``where`` and ``label`` are for
    sentences: the place in models.toml, and the file. ``check`` sees each answer before its bytes are taken.
    """

    url: str
    label: str
    where: str
    sha256: str | None = None
    size: int | None = None
    blob: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    check: Callable[[Answer], None] | None = None


def read(wanted: Wanted, client: Client, scratch: Path | None, progress: Progress = hash) -> Found:
    """Reads a file whole and checks it: into a file in ``scratch``, or for its hash alone.

    Raises UserError when the bytes are not the ones that are wanted, and MachineError when they cannot be read.
    """
    if scratch is None:
        return _Transfer(wanted, client, progress, None).run()
    if wanted.size is not None and wanted.size <= _SMALL:
        small = _Memory()
        return small.whole(_Transfer(wanted, client, progress, small).run(), scratch)
    with _place(scratch, wanted) as place:
        left = place.size()
        try:
            return place.whole(_Transfer(wanted, client, progress, place).run())
        except UserError:
            place.drop()
            if not left:
                raise
        # What an earlier run left may be the start of other bytes: once more, from the start.
        try:
            return place.whole(_Transfer(wanted, client, progress, place).run())
        except UserError:
            place.drop()
            raise


class _Memory:
    """The bytes of a small file, which is read again rather than resumed."""

    def __init__(self) -> None:
        self._data = bytearray()

    def begin(self) -> tuple[str | None, Iterator[bytes]]:
        return None, iter(())

    def write(self, data: bytes) -> None:
        self._data += data

    def restart(self) -> None:
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
class _Place:
    """The file that a download goes to, and beside it the validator of what it holds."""

    path: Path
    file: BinaryIO

    @property
    def _note(self) -> Path:
        return self.path.with_suffix(".etag")

    def size(self) -> int:
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
            raise MachineError.of(str(self.path.parent), f"cannot be written: {error.strerror}", "make room") from None

    def restart(self) -> None:
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


class _Sums:
    """What is known of the bytes that have gone by."""

    def __init__(self, wanted: Wanted) -> None:
        self.size = 0
        self.sha256 = hashlib.sha256()
        self.sha1 = hashlib.sha1(b"blob %d\0" % (wanted.size or 0), usedforsecurity=False) if wanted.blob else None

    def update(self, data: bytes) -> None:
        self.size += len(data)
        self.sha256.update(data)
        if self.sha1:
            self.sha1.update(data)


class _Transfer:
    """One file, over as many connections as it takes; its bytes go to ``place``, where there is one."""

    def __init__(self, wanted: Wanted, client: Client, progress: Progress, place: _Place | _Memory | None) -> None:
        self._wanted, self._client, self._progress, self._place = wanted, client, progress, place
        self._sums = _Sums(wanted)
        self._etag: str | None = None

    def run(self) -> Found:
        """Reads the file to its end and compares it with what is wanted."""
        self._take_over()
        barren = 0
        while not self._sums.size or self._sums.size != self._wanted.size:
            before = self._sums.size
            failure = self._connection()
            if failure is None:
                break
            barren = barren + 1 if self._sums.size <= before else 0
            if barren >= _BARREN:
                raise failure
            time.sleep(0.2 * 2**barren)
        return self._checked()

    @property
    def _resumable(self) -> bool:
        """Whether what comes later is known to be of the same file: by its validator, or by what it must be."""
        return bool(self._etag or self._wanted.sha256 or self._wanted.blob)

    def _take_over(self) -> None:
        """Goes on behind what an earlier run left."""
        if self._place is None:
            return
        self._etag, left = self._place.begin()
        if not self._resumable:
            self._place.restart()
            return
        for data in left:
            self._sums.update(data)
        self._progress(self._sums.size)

    def _connection(self) -> MachineError | None:
        """Reads over one connection. None at the end of the file; else why it broke off."""
        headers = dict(self._wanted.headers)
        if self._sums.size and self._resumable:
            headers["Range"] = f"bytes={self._sums.size}-"
            if self._etag:
                headers["If-Range"] = self._etag
        try:
            with self._client.open(self._wanted.url, headers) as answer:
                if self._wanted.check:
                    self._wanted.check(answer)
                return self._body(answer)
        except MachineError as error:
            if not self._sums.size:  # nothing came, and the client has been patient
                raise
            return error

    def _body(self, answer: Answer) -> MachineError | None:
        end = self._begin(answer)
        wanted = self._wanted
        if wanted.size is not None and end not in (None, wanted.size):
            raise _unlike(wanted, "size", f"{wanted.size} bytes", f"{end} bytes")
        try:
            while data := answer.stream.read(CHUNK):
                self._sums.update(data)
                if wanted.size is not None and self._sums.size > wanted.size:
                    raise _unlike(wanted, "size", f"{wanted.size} bytes", "more")
                if self._place is not None:
                    self._place.write(data)
                self._progress(len(data))
        except (OSError, HTTPException) as error:
            return unreachable(wanted.url, error)
        if self._sums.size < (wanted.size or end or 0):
            return self._fault("the server broke off in the middle", "run the command again")
        return None

    def _begin(self, answer: Answer) -> int | None:
        """Where the file ends, by this answer. One that starts anew makes the file start anew."""
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise self._fault("the server compresses what it was asked not to")
        if answer.status == 206:  # noqa: PLR2004 -- Partial Content (RFC 9110, 15.3.7)
            given = _RANGE.fullmatch(answer.headers.get("Content-Range") or "")
            if given is None or int(given[1]) != self._sums.size:
                raise self._fault("the server gave another part of the file than it was asked for")
            return None if given[2] == "*" else int(given[2])
        if self._sums.size:
            self._progress(-self._sums.size)
            self._sums = _Sums(self._wanted)
            if self._place is not None:
                self._place.restart()
        self._remember(answer.headers.get("ETag"))
        return answer.length

    def _remember(self, etag: str | None) -> None:
        """Keeps a strong validator: with it, a later connection may go on (If-Range, RFC 9110, 13.1.5)."""
        self._etag = etag if etag and etag.startswith('"') else None
        if self._place is not None:
            self._place.remember(self._etag)

    def _fault(self, what: str, mend: str = "") -> MachineError:
        return MachineError.of(download.without_query(self._wanted.url), what, mend)

    def _checked(self) -> Found:
        wanted, sums = self._wanted, self._sums
        found = sums.sha256.hexdigest()
        if wanted.size is not None and sums.size != wanted.size:
            raise _unlike(wanted, "size", f"{wanted.size} bytes", f"{sums.size} bytes")
        if sums.sha1 and sums.sha1.hexdigest() != wanted.blob:
            raise _unlike(wanted, "git blob id", str(wanted.blob), sums.sha1.hexdigest())
        if wanted.sha256 not in (None, found):
            raise _unlike(wanted, "SHA-256", str(wanted.sha256), found)
        return Found(None, found, sums.size)


def _unlike(wanted: Wanted, what: str, expected: str, found: str) -> UserError:
    """The sentence for other bytes than were wanted: never a retry, never a pin."""
    return UserError.of(
        wanted.where,
        f"{wanted.label} is not what it should be: its {what} should be {expected}, and is {found}",
        f"the server, or something on the way to it, gave other bytes ({download.without_query(wanted.url)}); "
        "nothing was pinned",
    )


@contextlib.contextmanager
def _place(scratch: Path, wanted: Wanted) -> Iterator[_Place]:
    """The place of a download, which no other process uses meanwhile."""
    key = "\n".join(map(str, (wanted.url, wanted.sha256, wanted.size, wanted.blob)))
    path = scratch / f"{hashlib.sha256(key.encode()).hexdigest()}.part"
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        while True:
            with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if not _same(file, path):  # another process has had it, and took it away whole
                    continue
                try:
                    yield _Place(path, file)
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
