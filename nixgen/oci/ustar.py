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
_MIDDLE = b"ustar\x0000" + bytes(64) + b"0000000\x000000000\0"  # no names of user and group, no device
_LAST = BLOCK - 345
_BLANKS = 8 * ord(" ")  # for the sum, its own field has blanks


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
    head = b"%b%07o\x000000000\x000000000\0%011o\0%011o\0" % (name.ljust(_NAME, b"\0"), mode, size, TIME)
    tail = b"%b%b%b%b" % (kind, link.ljust(_NAME, b"\0"), _MIDDLE, prefix.ljust(_LAST, b"\0"))
    return b"%b%06o\0 %b" % (head, sum(head) + sum(tail) + _BLANKS, tail)


def _record(key: bytes, value: bytes) -> bytes:
    """A PAX record: its length, in which the length itself counts, then key and value."""
    rest = b" %s=%s\n" % (key, value)
    length = len(rest) + len(str(len(rest)))
    length = len(rest) + len(str(length))
    return b"%d%s" % (length, rest)
