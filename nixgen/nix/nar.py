"""The hash that Nix gives a folder: SHA-256 of its Nix Archive, as Subresource Integrity text.

Nix manual, "Nix Archive (NAR) format". Times, owners and permissions other than "executable" have no part in it.
"""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from nixgen.errors import MachineError, UserError
from nixgen.nix import base32
from nixgen.oci.narform import CLOSE, DIRECTORY, ENTRY, EXECUTABLE, MAGIC, NODE, REGULAR, SYMLINK, length, packed

_BUFFER = 1 << 17  # bytes that are hashed at once

Write = Callable[[bytes], object]


def hash_path(path: Path) -> str:
    """The NAR hash of what is at ``path``, e.g. ``sha256-…``; equal to ``nix hash path PATH``.

    Raises UserError for what a NAR cannot hold (a socket, a device) and MachineError for what cannot be read.
    """
    return hash_and_size(path)[0]


def hash_and_size(path: Path) -> tuple[str, int]:
    """The NAR hash of what is at ``path``, and the NAR's size in bytes. Raises as hash_path does."""
    walk = _Walk()
    try:
        walk.node(os.fsencode(path))
    except OSError as error:
        raise MachineError.of(os.fsdecode(error.filename or path), f"cannot be read: {error.strerror}") from None
    return walk.end()


def hash_tree(files: Mapping[str, tuple[bytes, bool]]) -> str:
    """The NAR hash of a folder that is not on disk: relative path with forward slashes → (content, executable).

    Raises ValueError when a path is absolute, has an empty, "." or ".." part, or is both a file and a folder.
    """
    root: _Folder = {}
    for name, file in files.items():
        *folders, last = os.fsencode(name).split(b"/")
        if any(part in (b"", b".", b"..") for part in (*folders, last)):
            raise ValueError(f"not a relative path: {name!r}")
        here = root
        for part in folders:
            there = here.setdefault(part, {})
            if not isinstance(there, dict):
                raise ValueError(f"both a file and a folder: {name!r}")  # noqa: TRY004 -- of the value, not its type
            here = there
        if last in here:
            raise ValueError(f"both a file and a folder: {name!r}")
        here[last] = file
    state = hashlib.sha256(MAGIC)
    _tree(state.update, root)
    return _sri(state.digest())


_ZEROS = tuple(map(bytes, range(8)))
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC

_Folder = dict[bytes, "tuple[bytes, bool] | _Folder"]


def _tree(write: Write, node: tuple[bytes, bool] | _Folder) -> None:
    if isinstance(node, tuple):
        content, executable = node
        write((EXECUTABLE if executable else REGULAR) + packed(content) + CLOSE)
        return
    write(DIRECTORY)
    for name in sorted(node):
        write(ENTRY + packed(name) + NODE)
        _tree(write, node[name])
        write(CLOSE)
    write(CLOSE)


class _Walk:
    """Writes what is at a path as a NAR, piece by piece, into a buffer that a core's cache holds, and hashes that."""

    def __init__(self) -> None:
        self._state = hashlib.sha256()
        self._buffer = memoryview(bytearray(_BUFFER))
        self._filled = self._size = 0
        self._put(MAGIC)

    def end(self) -> tuple[str, int]:
        """The NAR hash and the NAR's size."""
        self._flush()
        return _sri(self._state.digest()), self._size

    def node(self, path: bytes, before: bytes = b"", after: bytes = b"") -> None:
        """A file, link or folder, between two other pieces."""
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            target = os.readlink(path)  # noqa: PTH115 -- bytes: names need not be text
            self._put(before + SYMLINK + packed(target) + CLOSE + after)
        elif stat.S_ISREG(mode):
            self._regular(path, before, after)
        elif stat.S_ISDIR(mode):
            self._folder(path, before, after)
        else:
            raise UserError.of(
                os.fsdecode(path), "is neither a file, a folder nor a link, so Nix cannot store it", "remove it"
            )

    def _folder(self, path: bytes, before: bytes, after: bytes) -> None:
        self._put(before + DIRECTORY)
        with os.scandir(path) as listed:
            entries = sorted(listed, key=lambda entry: entry.name)
        for entry in entries:
            name = entry.name
            head = b"%b%b%b%b%b" % (ENTRY, length(len(name)), name, _ZEROS[-len(name) % 8], NODE)
            if entry.is_file(follow_symlinks=False):
                self._regular(entry.path, head, CLOSE)
            else:
                self.node(entry.path, head, CLOSE)
        self._put(CLOSE + after)

    def _regular(self, path: bytes, before: bytes, after: bytes) -> None:
        file = os.open(path, _FLAGS)
        try:
            status = os.fstat(file)
            left = size = status.st_size
            kind = EXECUTABLE if status.st_mode & stat.S_IXUSR else REGULAR
            self._put(before + kind + length(size))
            while left:
                if self._filled == _BUFFER:
                    self._flush()
                found = os.readv(file, [self._buffer[self._filled : self._filled + left]])
                if not found:
                    raise OSError(0, "it changed while it was read", path)
                self._filled += found
                left -= found
        finally:
            os.close(file)
        self._put(_ZEROS[-size % 8] + CLOSE + after)

    def _put(self, piece: bytes) -> None:
        end = self._filled + len(piece)
        if end > _BUFFER:
            self._flush()
            end = len(piece)
            if end > _BUFFER:  # a link's target may be of any length
                self._state.update(piece)
                self._size += end
                return
        self._buffer[self._filled : end] = piece
        self._filled = end

    def _flush(self) -> None:
        self._state.update(self._buffer[: self._filled])
        self._size += self._filled
        self._filled = 0


def _sri(digest: bytes) -> str:
    return "sha256-" + base64.b64encode(digest).decode("ascii")


def source_path(sri: str) -> str:
    """The store path of a source with this NAR hash ("sha256-…"), named ``source`` as flakes name theirs.

    Source of the rule: the Nix manual, "Store Path Specification" (type ``source`` without references).
    """
    digest = base64.b64decode(sri.removeprefix("sha256-"))
    return f"/nix/store/{base32.path_hash(f'source:sha256:{digest.hex()}:/nix/store:source')}-source"
