"""Why two .pyc files differ: their headers (PEP 552), and the ways in which the same code is written differently."""

from __future__ import annotations

import struct

from nixgen.check.explain.bytes import Bytes
from nixgen.check.explain.text import moment

_HEADER = 16
_MAGIC_END = b"\r\n"
_HASHED = 1  # the header's first flag: a hash of the source instead of its time
_REFERENCE = 0x80  # FLAG_REF of CPython's marshal: "somebody refers to this"
_PERMUTED = 1 << 20  # bytes; larger ones are not sorted
_MEND = "write unchecked hash-based byte code (PEP 552)"


def is_bytecode(content: Bytes) -> bool:
    """Whether a file has the header of a .pyc."""
    return len(content) >= _HEADER and content[2:4] == _MAGIC_END and content[5:8] == b"\0\0\0" and content[4] <= 3  # noqa: PLR2004


def causes(expected: Bytes, found: Bytes) -> tuple[str, ...]:
    """What the header and the shape of the code give away; empty where one of the files is no byte code."""
    if not is_bytecode(expected) or not is_bytecode(found):
        return ()
    if expected[:4] != found[:4]:
        one, other = (struct.unpack("<H", content[:2])[0] for content in (found, expected))
        return (f"byte code of another version of Python (magic number {one}, {other} expected)",)
    return (*_header(expected, found), *_code(expected[_HEADER:], found[_HEADER:]))


def _header(expected: Bytes, found: Bytes) -> tuple[str, ...]:
    """The second to fourth word of the header: flags, then time and size, or the hash of the source."""
    (flags, time, size), (flags_before, time_before, size_before) = (
        struct.unpack("<III", content[4:_HEADER]) for content in (found, expected)
    )
    if (flags, time, size) == (flags_before, time_before, size_before):
        return ()
    if not flags & _HASHED and not flags_before & _HASHED:
        if time == time_before:
            return (f"byte code of a source of another size ({size} bytes, {size_before} expected)",)
        times = f"{moment(time)}, {moment(time_before)} expected"
        return (f"byte code with the time of its source in the header: {times}; {_MEND}",)
    if flags & _HASHED and flags_before & _HASHED:
        if found[8:_HEADER] == expected[8:_HEADER]:
            return ("byte code that is to be checked against its source, or not to be, other than expected",)
        return ("byte code of another source: its header has another hash of it",)
    with_time = "found" if not flags & _HASHED else "expected"
    return (f"byte code whose header has the time of its source on one side only ({with_time}); {_MEND}",)


def _code(expected: Bytes, found: Bytes) -> tuple[str, ...]:
    if expected == found or len(expected) != len(found):
        return ()
    if all(a ^ b in (0, _REFERENCE) for a, b in zip(expected, found, strict=True)):
        return (
            "the same byte code: only marks of marshal differ, which depend on what else the compiler had in memory",
        )
    if len(found) <= _PERMUTED and sorted(expected) == sorted(found):
        return ("the same byte code with constants in another order: sets, whose order follows PYTHONHASHSEED",)
    return ()
