"""The hash that Nix gives a folder: SHA-256 of its Nix Archive, as Subresource Integrity text.

Nix manual, "Nix Archive (NAR) format". Times, owners and permissions other than "executable" have no part in it.
"""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from nixgen.errors import MachineError, UserError

_CHUNK = 1 << 20
_NIX32 = "0123456789abcdfghijklmnpqrsvwxyz"

Write = Callable[[bytes], object]


def hash_path(path: Path) -> str:
    """The NAR hash of what is at ``path``, e.g. ``sha256-…``; equal to ``nix hash path PATH``.

    Raises UserError for what a NAR cannot hold (a socket, a device) and MachineError for what cannot be read.
    """
    state = hashlib.sha256()
    try:
        _string(state.update, b"nix-archive-1")
        _path(state.update, os.fsencode(path))
    except OSError as error:
        raise MachineError.of(os.fsdecode(error.filename or path), f"cannot be read: {error.strerror}") from None
    return _sri(state.digest())


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
    state = hashlib.sha256()
    _string(state.update, b"nix-archive-1")
    _tree(state.update, root)
    return _sri(state.digest())


_Folder = dict[bytes, "tuple[bytes, bool] | _Folder"]


def _tree(write: Write, node: tuple[bytes, bool] | _Folder) -> None:
    if isinstance(node, tuple):
        content, executable = node
        _file(write, len(content), iter([content]), executable=executable)
        return
    _strings(write, b"(", b"type", b"directory")
    for name in sorted(node):
        _strings(write, b"entry", b"(", b"name", name, b"node")
        _tree(write, node[name])
        _string(write, b")")
    _string(write, b")")


def _path(write: Write, path: bytes) -> None:
    status = os.lstat(path)
    if stat.S_ISLNK(status.st_mode):
        _strings(write, b"(", b"type", b"symlink", b"target", os.readlink(path), b")")  # noqa: PTH115 -- bytes
    elif stat.S_ISREG(status.st_mode):
        _file(write, status.st_size, _chunks(path), executable=bool(status.st_mode & stat.S_IXUSR))
    elif stat.S_ISDIR(status.st_mode):
        _strings(write, b"(", b"type", b"directory")
        for name in sorted(os.listdir(path)):  # noqa: PTH208 -- bytes: names need not be text
            _strings(write, b"entry", b"(", b"name", name, b"node")
            _path(write, path + b"/" + name)
            _string(write, b")")
        _string(write, b")")
    else:
        raise UserError.of(
            os.fsdecode(path), "is neither a file, a folder nor a link, so Nix cannot store it", "remove it"
        )


def _file(write: Write, size: int, chunks: Iterator[bytes], *, executable: bool) -> None:
    _strings(write, b"(", b"type", b"regular")
    if executable:
        _strings(write, b"executable", b"")
    _string(write, b"contents")
    write(struct.pack("<Q", size))
    found = 0
    for chunk in chunks:
        found += len(chunk)
        write(chunk)
    if found != size:
        raise OSError(0, "it changed while it was read")
    write(bytes(-size % 8))
    _string(write, b")")


def _chunks(path: bytes) -> Iterator[bytes]:
    with open(path, "rb") as file:  # noqa: PTH123 -- the same
        while chunk := file.read(_CHUNK):
            yield chunk


def _strings(write: Write, *values: bytes) -> None:
    for value in values:
        _string(write, value)


def _string(write: Write, value: bytes) -> None:
    """A string: its length in 8 bytes, little-endian, the bytes, and zeros up to a multiple of 8."""
    write(struct.pack("<Q", len(value)) + value + bytes(-len(value) % 8))


def _sri(digest: bytes) -> str:
    return "sha256-" + base64.b64encode(digest).decode("ascii")


def source_path(sri: str) -> str:
    """The store path of a source with this NAR hash ("sha256-…"), named ``source`` as flakes name theirs.

    Source of the rule: the Nix manual, "Store Path Specification" (type ``source`` without references).
    """
    digest = base64.b64decode(sri.removeprefix("sha256-"))
    whole = hashlib.sha256(f"source:sha256:{digest.hex()}:/nix/store:source".encode()).digest()
    folded = bytearray(20)
    for place, byte in enumerate(whole):
        folded[place % 20] ^= byte
    number = int.from_bytes(folded, "little")
    return f"/nix/store/{''.join(_NIX32[number >> 5 * place & 31] for place in reversed(range(32)))}-source"
