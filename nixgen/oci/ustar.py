"""The one form of tar that layers and archives have.

USTAR with its prefix, and a PAX record only where a field is too short. Nothing in it is of a machine or moment: uid
and gid 0, no users' names, and one time for everything.
"""

from __future__ import annotations

BLOCK = 512
DIRECTORY, FILE, LINK = b"5", b"0", b"2"
END = b"\0" * (2 * BLOCK)
TIME = 1
"""Seconds since 1970 of everything, as in the Nix store."""
_NAME, _PREFIX, _LARGEST = 100, 155, 8**11 - 1
_CHECKSUM = slice(148, 156)


def header(name: bytes, kind: bytes, mode: int, size: int = 0, link: bytes = b"") -> bytes:
    """The blocks in front of an entry's content. A folder's name ends with a slash."""
    records = []
    parts = _split(name)
    if parts is None:
        records.append((b"path", name))
        parts = b"", name[:_NAME]
    if len(link) > _NAME:
        records.append((b"linkpath", link))
    if size > _LARGEST:
        records.append((b"size", b"%d" % size))
    block = _block(*parts, kind, mode, size if size <= _LARGEST else 0, link[:_NAME])
    if not records:
        return block
    text = b"".join(_record(key, value) for key, value in sorted(records))
    return _block(b"", b"PaxHeader", b"x", 0o444, len(text), b"") + text + padding(len(text)) + block


def padding(size: int) -> bytes:
    """What fills the last block of a content with this many bytes."""
    return b"\0" * (-size % BLOCK)


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """Prefix and name, the name as long as can be; None where they do not fit."""
    if len(name) <= _NAME:
        return b"", name
    # The slash between them is in neither; a folder's own, at the end, is none.
    slash = name.find(b"/", len(name) - _NAME - 1, -1)
    return (name[:slash], name[slash + 1 :]) if 0 < slash <= _PREFIX else None


def _block(prefix: bytes, name: bytes, kind: bytes, mode: int, size: int, link: bytes) -> bytes:
    block = bytearray(BLOCK)
    block[0 : len(name)] = name
    block[100:124] = b"%07o\0%07o\0%07o\0" % (mode, 0, 0)
    block[124:148] = b"%011o\0%011o\0" % (size, TIME)
    block[_CHECKSUM] = b" " * 8
    block[156:157] = kind
    block[157 : 157 + len(link)] = link
    block[257:265] = b"ustar\x0000"
    block[329:345] = b"0000000\x000000000\0"
    block[345 : 345 + len(prefix)] = prefix
    block[_CHECKSUM] = b"%06o\0 " % sum(block)
    return bytes(block)


def _record(key: bytes, value: bytes) -> bytes:
    """A PAX record: its length, in which the length itself counts, then key and value."""
    rest = b" %s=%s\n" % (key, value)
    length = len(rest) + len(str(len(rest)))
    length = len(rest) + len(str(length))
    return b"%d%s" % (length, rest)
