"""Store paths as the tar of a layer, streamed from the disk, and compared with their NAR hashes on the way.

The tar of a path follows from what its NAR holds: names, contents, targets of links, and what is executable. Modes are
555 and 444, and no two files are one (a store that is optimised has hard links). So a layer has one digest, whichever
machine makes it. What is in memory is a few pieces, whatever a file's size.
"""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from . import narform, ustar
from .model import CHUNK, LAYER, Blob, Descriptor, Unequal

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_STORE = "/nix/store/"
_ABOVE = b"".join(ustar.header(name, ustar.DIRECTORY, 0o755) for name in (b"nix/", b"nix/store/"))
_SMALL = 1 << 18  # bytes that are collected before they are hashed
_WAITING = 4  # pieces that are read before the first of them is hashed


class Hash:
    """A SHA-256 that a thread of its own works out, where there is one."""

    def __init__(self, threads: ThreadPoolExecutor | None) -> None:
        self._state, self._threads = hashlib.sha256(), threads
        self._waiting: deque[Future[None]] = deque()

    def update(self, piece: bytes) -> None:
        """As hashlib's."""
        if self._threads is None:
            self._state.update(piece)
            return
        if len(self._waiting) >= _WAITING:
            self._waiting.popleft().result()
        self._waiting.append(self._threads.submit(self._state.update, piece))

    def digest(self) -> bytes:
        """As hashlib's."""
        while self._waiting:
            self._waiting.popleft().result()
        return self._state.digest()


def blob(layer: Mapping[str, Any], root: str = "", threads: int = 2) -> Blob:
    """A layer whose digest is known. ``root`` is where the store's /nix lies, "" for /nix itself."""
    descriptor = Descriptor(LAYER, layer["digest"], layer["size"])
    return Blob(descriptor, lambda: pieces(layer, root, threads))


def described(layer: Mapping[str, Any], root: str = "", threads: int = 2) -> dict[str, Any]:
    """The layer with its digest and size. Raises Unequal."""
    size = 0
    with ExitStack() as stack:
        found = Hash(stack.enter_context(ThreadPoolExecutor(1)) if threads > 1 else None)
        for piece in pieces(layer, root, threads):
            found.update(piece)
            size += len(piece)
        return {**layer, "digest": f"sha256:{found.digest().hex()}", "size": size}


def pieces(layer: Mapping[str, Any], root: str = "", threads: int = 2) -> Iterator[bytes]:
    """The tar of a layer: ``paths`` of the store with their NAR hashes, or ``entries`` that are written out.

    Raises Unequal for a path that is not as its hash says, after its last piece.
    """
    yield from _written(layer.get("entries", ()))
    paths = layer.get("paths", ())
    if paths:
        yield _ABOVE
    with ExitStack() as stack:
        team = stack.enter_context(ThreadPoolExecutor(1)) if threads > 1 and paths else None
        for path in paths:
            yield from _Path(path["path"], path["narHash"], root, team).pieces()
    yield ustar.END


def _written(entries: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
    """Entries as {"name", "mode", and "text" or "link"}: with neither, a folder."""
    for entry in sorted(entries, key=lambda entry: str(entry["name"]).encode()):
        name, mode = entry["name"].encode(), int(entry["mode"], 8)
        if "link" in entry:
            yield ustar.header(name, ustar.LINK, mode, 0, entry["link"].encode())
        elif "text" in entry:
            data = entry["text"].encode()
            yield ustar.header(name, ustar.FILE, mode, len(data)) + data + ustar.padding(len(data))
        else:
            yield ustar.header(name + b"/", ustar.DIRECTORY, mode)


class _Path:
    """One store path, as a part of a tar and as a NAR at once."""

    def __init__(self, path: str, nar_hash: str, root: str, threads: ThreadPoolExecutor | None) -> None:
        self._path, self._wanted, self._place = path, nar_hash, os.fsencode(root + path)
        self._hash = Hash(threads)
        self._tar, self._nar = bytearray(), bytearray(narform.MAGIC)

    def pieces(self) -> Iterator[bytes]:
        try:
            yield from self._node(self._place, self._path.lstrip("/").encode(), b"", b"")
        except OSError as error:
            where = self._path
            if error.filename is not None:
                where += os.fsdecode(error.filename)[len(self._place) :]
            raise Unequal(where, f"cannot be read: {error.strerror}", _repair(self._path)) from None
        self._hash.update(bytes(self._nar))
        found = "sha256-" + base64.b64encode(self._hash.digest()).decode()
        if found != self._wanted:
            what = f"changed on the disk: its NAR hash is {found}, and {self._wanted} was recorded"
            raise Unequal(self._path, what, _repair(self._path))
        yield bytes(self._tar)

    def _node(self, place: bytes, name: bytes, before: bytes, after: bytes) -> Iterator[bytes]:
        """What is at a place, between two pieces of the NAR."""
        mode = os.lstat(place).st_mode
        if stat.S_ISDIR(mode):
            self._tar += ustar.header(name + b"/", ustar.DIRECTORY, 0o555)
            self._nar += before + narform.DIRECTORY
            with os.scandir(place) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
            for entry in entries:
                inner = narform.ENTRY + narform.packed(entry.name) + narform.NODE
                if entry.is_file(follow_symlinks=False):
                    yield from self._file(entry.path, b"%b/%b" % (name, entry.name), inner, narform.CLOSE)
                else:
                    yield from self._node(entry.path, b"%b/%b" % (name, entry.name), inner, narform.CLOSE)
            self._nar += narform.CLOSE + after
        elif stat.S_ISREG(mode):
            yield from self._file(place, name, before, after)
        elif stat.S_ISLNK(mode):
            target = os.readlink(place)  # noqa: PTH115 -- bytes: names need not be text
            self._tar += ustar.header(name, ustar.LINK, 0o777, 0, target)
            self._nar += before + narform.SYMLINK + narform.packed(target) + narform.CLOSE + after
        else:
            raise OSError(0, "it is neither a file, a folder nor a link", place)

    def _file(self, place: bytes, name: bytes, before: bytes, after: bytes) -> Iterator[bytes]:
        file = os.open(place, _FLAGS)
        try:
            status = os.fstat(file)
            left = size = status.st_size
            runs = bool(status.st_mode & stat.S_IXUSR)
            self._tar += ustar.header(name, ustar.FILE, 0o555 if runs else 0o444, size)
            self._nar += before + (narform.EXECUTABLE if runs else narform.REGULAR) + narform.length(size)
            while left:
                piece = os.read(file, min(left, CHUNK))
                if not piece:
                    raise OSError(0, "it changed while it was read", place)
                left -= len(piece)
                if len(piece) < _SMALL:
                    self._tar += piece
                    self._nar += piece
                if len(piece) >= _SMALL or len(self._tar) >= _SMALL:
                    yield bytes(self._tar)
                    self._hash.update(bytes(self._nar))
                    self._tar.clear()
                    self._nar.clear()
                if len(piece) >= _SMALL:  # not copied
                    yield piece
                    self._hash.update(piece)
        finally:
            os.close(file)
        self._tar += ustar.padding(size)
        self._nar += bytes(-size % 8) + narform.CLOSE + after


def _repair(path: str) -> str:
    return f"build or fetch it again: nix-store --repair-path {path}"
