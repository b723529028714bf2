"""Files on their way: resumed where a connection broke off, hashed while they stream, never held in memory.

A file whose bytes are kept lies in a scratch folder, under a name made from its address and from what it must be,
until it is whole and checked. A run that was interrupted leaves it there, and the next one goes on behind it.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nixgen.artifacts.http.places import DiskError, Memory, Place, place
from nixgen.artifacts.store import Found
from nixgen.errors import MachineError, UserError
from nixgen.machine import download
from nixgen.machine.download import CHUNK, Answer, Opener, RangeError

_SMALL = 1 << 20  # bytes
_BARREN = 5  # connections in a row that bring nothing
_RANGE = re.compile(r"bytes (\d{1,19})-\d{1,19}/(\d{1,19}|\*)")

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


def read(wanted: Wanted, client: Opener, scratch: Path | None, progress: Progress = hash) -> Found:
    """Reads a file whole and checks it: into a file in ``scratch``, or for its hash alone.

    Raises UserError when the bytes are not the ones that are wanted, and MachineError when they cannot be read.
    """
    if scratch is None:
        return _Transfer(wanted, client, progress, None).run()
    if wanted.size is not None and wanted.size <= _SMALL:
        small = Memory()
        return small.whole(_Transfer(wanted, client, progress, small).run(), scratch)
    with place(scratch, _key(wanted)) as kept:
        left = kept.size()
        try:
            return kept.whole(_Transfer(wanted, client, progress, kept).run())
        except UserError:
            kept.drop()
            if not left:
                raise
        # What an earlier run left may be the start of other bytes: once more, from the start.
        try:
            return kept.whole(_Transfer(wanted, client, progress, kept).run())
        except UserError:
            kept.drop()
            raise


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
    """One file, over as many connections as it takes; its bytes go to ``kept``, where there is one."""

    def __init__(self, wanted: Wanted, client: Opener, progress: Progress, kept: Place | Memory | None) -> None:
        self._wanted, self._client, self._progress, self._place = wanted, client, progress, kept
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
        except RangeError as error:
            self._restart()
            return error
        except DiskError:
            raise
        except MachineError as error:
            if not self._sums.size:  # nothing came, and the client has been patient
                raise
            return error

    def _body(self, answer: Answer) -> MachineError | None:
        end = self._begin(answer)
        wanted = self._wanted
        if wanted.size is not None and end not in (None, wanted.size):
            raise _unlike(wanted, "size", f"{wanted.size} bytes", f"{end} bytes")
        while True:
            try:
                data = answer.read(CHUNK)
            except MachineError as error:
                return error
            if not data:
                break
            if wanted.size is not None and self._sums.size + len(data) > wanted.size:
                raise _unlike(wanted, "size", f"{wanted.size} bytes", "more")
            if self._place is not None:
                self._place.write(data)
            self._sums.update(data)
            self._progress(len(data))
            if self._sums.size == end:  # the next answer may follow on this connection
                break
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
            self._restart()
        self._remember(answer.headers.get("ETag"))
        return answer.length

    def _restart(self) -> None:
        """Forgets what was read."""
        self._progress(-self._sums.size)
        self._sums = _Sums(self._wanted)
        if self._place is not None:
            self._place.restart()

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
        f"the server, or a proxy before it, gave different bytes ({download.without_query(wanted.url)}); "
        "nothing was pinned",
    )


def _key(wanted: Wanted) -> str:
    return "\n".join(map(str, (wanted.url, wanted.sha256, wanted.size, wanted.blob)))
