"""Where two files differ: the places, and the lines or strings at these places. Pure functions over bytes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice, zip_longest
from mmap import mmap

Bytes = bytes | mmap
"""A file's content, in memory or mapped into it."""

_BLOCK = 1 << 16
_FINE = 256
_JOIN = 4  # places with fewer equal bytes between them are one
_STRING = re.compile(rb"[\t\x20-\x7e]{4,}")
_BEFORE, _WINDOW = 512, 2048
_UNPRINTABLE = re.compile(rb"[^\x20-\x7e]")
_LOOKED_AT = 1 << 16  # the bytes that tell whether a file is text


def first_difference(expected: Bytes, found: Bytes, begin: int = 0) -> int:
    """The offset of the first byte from ``begin`` that is not the same; the shorter one's size where there is none."""
    shared = min(len(expected), len(found))
    for start in range(begin, shared, _BLOCK):
        one, other = expected[start : start + _BLOCK], found[start : start + _BLOCK]
        if one == other:
            continue
        for place, (left, right) in enumerate(zip(one, other, strict=False)):
            if left != right:
                return start + place
    return shared


def zeros(content: Bytes, begin: int) -> int:
    """How many zeros follow each other from an offset on."""
    for start in range(begin, len(content), _BLOCK):
        block = content[start : start + _BLOCK]
        if rest := block.lstrip(b"\0"):
            return start - begin + len(block) - len(rest)
    return len(content) - begin


def places(expected: Bytes, found: Bytes, limit: int) -> list[tuple[int, int]]:
    """Where two files of one size differ: (start, end) of the first ``limit`` places, in order.

    Of very long places only the beginning is told: after 64 KiB of bytes that differ, the search ends.
    """
    here: list[tuple[int, int]] = []
    for offset in islice(_offsets(expected, found), _BLOCK):
        if here and offset - here[-1][1] < _JOIN:
            here[-1] = here[-1][0], offset + 1
        elif len(here) == limit:
            break
        else:
            here.append((offset, offset + 1))
    return here


def _offsets(expected: Bytes, found: Bytes) -> Iterator[int]:
    for start in range(0, len(expected), _BLOCK):
        one, other = expected[start : start + _BLOCK], found[start : start + _BLOCK]
        if one == other:
            continue
        for fine in range(0, len(one), _FINE):
            left, right = one[fine : fine + _FINE], other[fine : fine + _FINE]
            if left != right:
                yield from (
                    start + fine + place for place, (a, b) in enumerate(zip(left, right, strict=True)) if a != b
                )


def is_text(content: Bytes) -> bool:
    """Whether a file is text: no NUL in its beginning, which is UTF-8 (the last character may be cut)."""
    head = content[:_LOOKED_AT]
    if b"\0" in head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3 and len(head) == _LOOKED_AT
    return True


def changed_lines(expected: bytes, found: bytes, limit: int) -> list[tuple[bytes, bytes, int]]:
    """Pairs of lines (expected, found, number) that are not the same, in order, after the same first lines.

    Lines are compared by their place from the beginning, or, where the numbers of lines differ, from what differs
    first to what differs last.
    """
    one, other = expected.split(b"\n"), found.split(b"\n")
    if len(one) != len(other):
        start = next(
            (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
        )
        shared = min(len(one), len(other)) - start
        end = next((at for at in range(shared) if one[-1 - at] != other[-1 - at]), shared)
        one, other = one[start : len(one) - end], other[start : len(other) - end]
    else:
        start = 0
    pairs = ((a, b, start + at + 1) for at, (a, b) in enumerate(zip_longest(one, other, fillvalue=b"")) if a != b)
    return [pair for pair, _ in zip(pairs, range(limit), strict=False)]


def changed_strings(expected: Bytes, found: Bytes, limit: int) -> list[tuple[bytes, bytes]]:
    """Pairs of printable strings of two binary files, (expected, found), that only one of them has, in order."""
    one, other = Counter(_STRING.findall(expected)), Counter(_STRING.findall(found))
    lost, new = list((one - other).elements()), list((other - one).elements())
    pairs = zip_longest(lost[: limit * 4], new[: limit * 4], fillvalue=b"")
    return [pair for pair, _ in zip(pairs, range(limit), strict=False)]


def around_difference(expected: bytes, found: bytes) -> tuple[bytes, bytes]:
    """Two long lines or strings, cut to what is around the first byte that is not the same."""
    start = max(0, first_difference(expected, found) - _BEFORE)
    return expected[start : start + _WINDOW], found[start : start + _WINDOW]


def hexdump(content: Bytes, offset: int, count: int = 8) -> str:
    """A few bytes as hexadecimal digits and as characters: ``61 62 0a |ab.|``."""
    some = content[offset : offset + count]
    text = _UNPRINTABLE.sub(b".", some).decode("ascii")
    return f"{some.hex(' ')} |{text}|" if some else "the end"
