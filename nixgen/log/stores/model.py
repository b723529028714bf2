"""What every store of a log can do: small files by name, in a folder, in a bucket, or behind a web server.

Every store keeps the same promises, which :mod:`nixgen.log.append` is built on: a file is whole or not there,
``create`` and ``replace`` succeed for one of several who try at once, and what was written is what is read next.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol

from nixgen.errors import UserError

LONGEST = 16 << 20
"""Bytes of the longest file of a log. No more is ever held in memory of one, whoever wrote it."""
CHUNK = 1 << 16
PROBE = "conditions"
"""The file that says whether a store looks at conditions: it is written on none but false ones, once it is there."""
PROBED = b"nixgen tries whether writes on a condition are refused\n"


class Storage(Protocol):
    """Files by name: ``tile/0/x001/234``. ``where`` is its address, for sentences.

    Every method raises MachineError when the store cannot be reached or written.
    """

    @property
    def where(self) -> str:
        """The address, without credentials."""
        ...

    def read(self, name: str, limit: int = LONGEST) -> bytes | None:
        """A file's first bytes, ``limit`` of them at most; None when there is no such file."""
        ...

    def stream(self, name: str) -> contextlib.AbstractContextManager[Iterator[bytes] | None]:
        """All of a file, however long, in small pieces; None when there is no such file."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Writes a file, over an old one where there is one."""
        ...

    def create(self, name: str, data: bytes) -> bool:
        """Writes a file that is not there yet; False when it is."""
        ...

    def replace(self, name: str, data: bytes, old: bytes) -> bool:
        """Writes a file that holds the bytes ``old``; False when it holds others, or is gone."""
        ...

    def remove(self, name: str) -> None:
        """Removes a file, or a folder with all that is in it; nothing happens where there is none."""
        ...

    def exclusive(self) -> contextlib.AbstractContextManager[None]:
        """Keeps other writers out where the store can do that; else it must look at conditions.

        Raises UserError where it does neither: two who append at once could fork the log.
        """
        ...


def first(pieces: Iterator[bytes] | None, limit: int) -> bytes | None:
    """The first bytes of what :meth:`Storage.stream` gives."""
    if pieces is None:
        return None
    found = bytearray()
    while len(found) < limit and (piece := next(pieces, b"")):
        found += piece
    return bytes(found[:limit])


def unconditional(where: str) -> UserError:
    """The error for a store that neither locks nor looks at conditions."""
    what = "ignores If-None-Match or If-Match, so two pushes at once could fork the log: nothing was appended"
    return UserError.of(where, what, "keep the log elsewhere: --log file:///folder, or --log s3://bucket/log")


def unknown(url: str, why: str) -> UserError:
    """The error for an address that nothing here reads."""
    return UserError.of(url, why, "use file://, s3:// or https://, or name a folder for the log with --log")
