"""The one form of tar that a bundle has, written and read: GNU's, which every tar unpacks, busybox's too.

Only what :func:`header` writes is read. So nothing is left to interpret: no PAX record, no hard link, no device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

BLOCK = 512
DIRECTORY, FILE, LINK = b"5", b"0", b"2"
END = b"\0" * (2 * BLOCK)
LONGEST = 4096
"""Bytes of a name or a link's target: what Linux takes for a path."""

_NAME, _LARGEST = 100, 8**11 - 1
_LONG = {b"L": b"././@LongLink", b"K": b"././@LongLink"}

Take = Callable[[int], bytes]
"""Gives this many bytes of what is read. Raises DamagedError where there are fewer."""


class DamagedError(Exception):
    """What is read is not a bundle, or not a whole one; the text says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file (with its ``size``), a link (with its ``target``) or a folder, whose name has no slash at its end."""

    name: bytes
    kind: bytes
    mode: int
    size: int = 0
    target: bytes = b""


def header(entry: Entry) -> bytes:
    """The blocks in front of an entry's content."""
    name = entry.name + b"/" if entry.kind == DIRECTORY else entry.name
    long = b""
    for kind, text in ((b"K", entry.target), (b"L", name)):
        if len(text) > _NAME:
            long += _block(_LONG[kind], kind, 0, len(text) + 1, b"") + text + b"\0" + padding(len(text) + 1)
    return long + _block(name[:_NAME], entry.kind, entry.mode, entry.size, entry.target[:_NAME])


def padding(size: int) -> bytes:
    """What fills the last block of a content with this many bytes."""
    return b"\0" * (-size % BLOCK)


def read(take: Take) -> Entry | None:
    """The next entry; None at the end. Raises DamagedError for whatever else than a bundle has."""
    long: dict[bytes, bytes] = {}
    seen = b""
    while True:
        block = take(BLOCK)
        if not seen and block == END[:BLOCK]:
            if take(BLOCK) != block:
                raise DamagedError("has something behind its end")
            return None
        seen += block
        kind = block[156:157]
        if kind not in _LONG or kind in long:
            break
        size = _number(block[124:136])
        if not _NAME < size <= LONGEST + 1:
            raise DamagedError("has a name that is too long")
        text = take(size + len(padding(size)))
        seen += text
        long[kind] = text[: size - 1]
    name = long.get(b"L", block[:_NAME].rstrip(b"\0"))
    if kind == DIRECTORY:
        name = name.removesuffix(b"/")
    target = long.get(b"K", block[157 : 157 + _NAME].rstrip(b"\0"))
    entry = Entry(name, kind, _number(block[100:108]), _number(block[124:136]), target)
    if kind not in {FILE, LINK, DIRECTORY} or header(entry) != seen:
        raise DamagedError("has an entry of another form than bundles have")
    return entry


def _block(name: bytes, kind: bytes, mode: int, size: int, target: bytes) -> bytes:
    block = bytearray(BLOCK)
    block[0 : len(name)] = name
    block[100:124] = b"%07o\0%07o\0%07o\0" % (mode, 0, 0)
    block[124:136] = b"%011o\0" % size if size <= _LARGEST else b"\x80" + size.to_bytes(11)
    block[136:148] = b"%011o\0" % 1
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[157 : 157 + len(target)] = target
    block[257:265] = b"ustar  \0"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _number(field: bytes) -> int:
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:])
    try:
        return int(field.rstrip(b"\0"), 8)
    except ValueError:
        raise DamagedError("has a number that is none") from None
