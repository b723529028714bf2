"""Input that is nearly right: valid examples with a few changes, as a file that was damaged or an attacker would have.

Changes are drawn by hypothesis, so a failing input can be drawn again.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence

from hypothesis import strategies as st

LARGEST = 1 << 18  # bytes
_WHOLE = 1 << 16
# What a value is replaced by, and what is put anywhere.
VALUES = (
    b'""', b"null", b"true", b"-1", b"0", b"9223372036854775808", b"9" * 5000, b"1e999", b"NaN",
    b"0x" + b"f" * 5000, b"[]",
    b"{}", b"[[]]", b'"\\u0000"', b'"\\ud800"', b'"\\u001b[2J"', b"[" * 3000, b'{"a":' * 3000,
    b'"' + b"a." * 8000 + b'"',
    b'".."', b'"/etc/passwd"', b'"\\n"', b"1979-05-27T07:32:00Z", b'"https://[::1"', b'"https://u:p@h/?token=x"',
)  # fmt: skip
WORDS = (
    b"\0", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r\n", b"\n\n", b"\x1b]0;x\x07", b"\xe2\x80\xae",
    b" " * 20000, b"\n" * 5000, b"a." * 8000, b" @" * 8000, b"../", b"9" * 5000, b'"',
    b"'''", b"#", b"=", b":", b",", b"[", b"{", b"]",
)  # fmt: skip
NUMBERS = tuple(
    struct.pack(kind, value)
    for kind in ("B", "<H", ">H", "<I", ">I", "<Q", ">Q")
    for value in (0, 1, (1 << 8 * struct.calcsize(kind)) - 1, 1 << 8 * struct.calcsize(kind) - 1)
)
_VALUE = re.compile(rb'"(?:[^"\\\n]|\\.)*"|-?\d+(?:\.\d+)?|\btrue\b|\bfalse\b|\bnull\b|\[\]|\{\}')

Change = tuple[str, int, int, bytes]
"""What is done, where and up to where (parts of the whole, in 65536ths), and with which bytes."""


def changes(words: Sequence[bytes], *, text: bool) -> st.SearchStrategy[Change]:
    """One change, of a text or of a binary format with these words of its own."""
    kinds = ["cut", "end", "twice", "put", "over", "value"] if text else ["cut", "end", "twice", "put", "over", "over"]
    own = st.sampled_from([*words, *(WORDS if text else NUMBERS)]) | st.binary(min_size=1, max_size=8)
    places = st.integers(0, _WHOLE)
    plain = st.tuples(st.sampled_from(kinds), places, places, own)
    return plain | st.tuples(st.just("value"), places, places, st.sampled_from(VALUES)) if text else plain


def mutated(seeds: Sequence[bytes], *, text: bool, words: Sequence[bytes] = ()) -> st.SearchStrategy[bytes]:
    """One of the seeds with up to five changes."""

    def made(seed: bytes, steps: list[Change]) -> bytes:
        for step in steps:
            seed = changed(seed, step, seeds)[:LARGEST]
        return seed

    return st.builds(made, st.sampled_from(seeds), st.lists(changes(words, text=text), max_size=5))


def changed(data: bytes, change: Change, seeds: Sequence[bytes]) -> bytes:
    """The data after one change."""
    kind, one, two, new = change
    if kind == "value":
        found = list(_VALUE.finditer(data))
        if not found:
            return data
        hit = found[one * (len(found) - 1) // _WHOLE]
        return data[: hit.start()] + new + data[hit.end() :]
    start, end = sorted(place * len(data) // _WHOLE for place in (one, two))
    if kind == "end":
        return data[:end]
    if kind == "over":
        return data[:start] + new + data[start + len(new) :]
    some = data[start:end]
    other = seeds[new[-1] % len(seeds)] if new[:1] == b"\1" else new
    between = {"cut": b"", "twice": some * (2 + new[0] % 40), "put": other + some}[kind]
    return data[:start] + between + data[end:]
