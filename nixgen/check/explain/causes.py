"""Why two files that should be the same are not, as far as their bytes give it away.

Pure functions over bytes. A cause is a sentence without a full stop; what was found is named first, then what was
expected. No cause is a proof: it is what a person would see first when looking at the bytes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable

from nixgen.check.explain import archives, bytecode, elf
from nixgen.check.explain.bytes import (
    Bytes,
    around_difference,
    changed_lines,
    changed_strings,
    first_difference,
    hexdump,
    is_text,
    places,
    zeros,
)
from nixgen.check.explain.text import beside, clues, moment, near

DEEP = 32 << 20
"""Files of more bytes than this are not sorted, decompressed or searched for strings."""

MOST = 4
"""How many causes are told of one file."""

_PAIRS = 40  # lines or strings that are looked at
_PYC_HEADER = 16
_TIME, _GUESS = " time", "perhaps "  # in every cause that is one
_NESTED = 2  # an archive in a compressed file in …
_ZEROS = 512  # so many zeros in place of content are a hole


def detail(expected: Bytes, found: Bytes) -> str:
    """A clause about two contents that differ: the sizes, and where the first difference is."""
    at = first_difference(expected, found)
    sizes = f"{len(found)} bytes" if len(found) == len(expected) else f"{len(found)} bytes, {len(expected)} expected"
    return f"{sizes}; first difference at offset {at}"


def bytes_at(expected: Bytes, found: Bytes) -> str:
    """The first bytes that differ, in hexadecimal: what there is to say where there is no cause."""
    at = first_difference(expected, found)
    return f"{hexdump(found, at)}, {hexdump(expected, at)} expected"


def causes(expected: Bytes, found: Bytes, cores: int | None = None) -> tuple[str, ...]:
    """The causes of a difference that the bytes give away, the likeliest first; empty where they do not.

    ``cores`` is the number of cores that the build of ``found`` was given, where it is known.
    """
    if len(expected) == len(found) == first_difference(expected, found):
        return ()
    return tuple(dict.fromkeys(_causes(expected, found, cores, 0)))[:MOST]


def _causes(expected: Bytes, found: Bytes, cores: int | None, depth: int) -> list[str]:
    if damage := _damage(expected, found):
        return [damage]
    said = _told(expected, found, cores, depth)
    flipped = _flipped(expected, found)
    if flipped and not (said and _sensible(expected, found, said)):
        return [flipped]
    return said


def _sensible(expected: Bytes, found: Bytes, said: list[str]) -> bool:
    """Whether one bit may have been set by a program: a time or a count may differ in one bit, too, but code hardly."""
    in_header = bytecode.is_bytecode(found) and first_difference(expected, found) < _PYC_HEADER
    return in_header or is_text(found) or any(_TIME in cause and _GUESS not in cause for cause in said)


def _told(expected: Bytes, found: Bytes, cores: int | None, depth: int) -> list[str]:
    if max(len(expected), len(found)) > DEEP:
        return list(elf.causes(expected, found))
    if said := _formats(expected, found, cores, depth):
        return said
    if is_text(expected) and is_text(found):
        return _text(expected[:], found[:], cores)
    return _words(expected, found, cores) or (_times(expected, found) if len(expected) == len(found) else [])


def _damage(expected: Bytes, found: Bytes) -> str:
    """What no builder does, but a disk or a crash."""
    if len(expected) and not len(found):
        return "it is empty: a full disk, or a machine that went down before it was written"
    lacking = len(expected) - len(found)
    if lacking >= _ZEROS and first_difference(expected, found) == len(found):
        return "it ends too early: a full disk, or a machine that went down before it was written"
    if lacking:
        return ""
    start = first_difference(expected, found)
    hole = zeros(found, start)
    if hole >= _ZEROS // 2 and first_difference(expected, found, start + hole) == len(found):
        return f"{hole} bytes from offset {start} are zeros: the disk, or a machine that went down"
    return ""


def _flipped(expected: Bytes, found: Bytes) -> str:
    """The sentence for two contents of one size that differ in one bit; empty where they do not."""
    if len(expected) != len(found):
        return ""
    where = places(expected, found, 2)
    start, end = where[0]
    if len(where) > 1 or end - start > 1 or (expected[start] ^ found[start]).bit_count() > 1:
        return ""
    if chr(expected[start]).isdigit() and chr(found[start]).isdigit():
        return ""
    return f"one bit differs, at offset {start}: the disk or the memory may be at fault"


def _formats(expected: Bytes, found: Bytes, cores: int | None, depth: int) -> list[str]:
    """What the formats with a structure tell: byte code, ELF, archives, compressed files."""
    if bytecode.is_bytecode(expected) and bytecode.is_bytecode(found):
        words = _words(expected[_PYC_HEADER:], found[_PYC_HEADER:], cores)
        return [*bytecode.causes(expected, found), *(f"byte code that holds {cause}" for cause in words)]
    if said := elf.causes(expected, found):
        return [*said, *_words(expected, found, cores)]
    if said := archives.causes(expected, found):
        return list(said)
    if (inner := archives.unpacked(expected, found)) and depth < _NESTED:
        header, one, other = inner
        if one == other:
            return list(header) or ["the same content, compressed differently"]
        return [*header, *(f"in the compressed content: {cause}" for cause in _causes(one, other, cores, depth + 1))]
    return []


def _text(expected: bytes, found: bytes, cores: int | None) -> list[str]:
    if expected.replace(b"\r\n", b"\n") == found.replace(b"\r\n", b"\n"):
        return ["only the ends of lines differ (CRLF and LF)"]
    if sorted(lines := expected.splitlines()) == sorted(found.splitlines()):
        return [f"the same {len(lines)} lines in another order"]
    if _same_json(expected, found):
        return ["the same JSON value, with its keys in another order or other white space"]
    said: list[str] = []
    for one, other, number in changed_lines(expected, found, _PAIRS):
        said += [f"{cause} (line {number})" for cause in _pair(one, other, cores) if not _known(cause, said)]
    return said


def _words(expected: Bytes, found: Bytes, cores: int | None) -> list[str]:
    """Of binary files: the strings that only one of them has."""
    said: list[str] = []
    if max(len(expected), len(found)) <= DEEP:
        for one, other in changed_strings(expected, found, _PAIRS):
            said += [cause for cause in _pair(one, other, cores) if not _known(cause, said)]
    return said


def _pair(expected: bytes, found: bytes, cores: int | None) -> tuple[str, ...]:
    if cores is not None and found.strip() == str(cores).encode() and expected.strip().isdigit():
        return (f"the number of cores that the build was given: {beside(found.strip(), expected.strip())}",)
    return clues(*around_difference(expected, found))


def _known(cause: str, said: Iterable[str]) -> bool:
    """Whether a cause of this kind was told already: the first example of each is enough."""
    kind = cause.partition(":")[0]
    return any(other.partition(":")[0] == kind for other in said)


def _times(expected: Bytes, found: Bytes) -> list[str]:
    """Four bytes at a multiple of four, in either order of bytes, that are a time in both files."""
    for start, end in places(expected, found, _PAIRS):
        at = start // 4 * 4
        if end <= at + 4:
            if hexdump(found, at, 4).count(".") == 0:  # the letters of a word
                continue
            for order in "<>":
                try:
                    (one,), (other,) = (struct.unpack_from(order + "I", content, at) for content in (found, expected))
                except struct.error:
                    continue
                if near(one, other):
                    return [f"{_GUESS}a time, 4 bytes at offset {at}: {moment(one)}, {moment(other)} expected"]
    return []


def _same_json(expected: bytes, found: bytes) -> bool:
    if expected[:1] not in (b"{", b"["):
        return False
    try:
        return bool(json.loads(expected) == json.loads(found))
    except (ValueError, RecursionError):
        return False
