"""The order of Debian's versions, as deb-version(7) has it: epoch, upstream version, revision."""

from __future__ import annotations

import re
from functools import total_ordering
from itertools import zip_longest

_LONGEST = 1000  # characters, of what may be a version
_EPOCH = re.compile(r"[0-9]+")
_UPSTREAM = re.compile(r"[A-Za-z0-9.+~:-]+")
_REVISION = re.compile(r"[A-Za-z0-9.+~]+")
_PARTS = re.compile(r"([^0-9]*)([0-9]*)")
_END = ("", "")


def parse(text: str) -> DebVersion | None:
    """The version that a text is, None for a text that is none."""
    epoch, _, rest = text.partition(":") if ":" in text else ("0", "", text)
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "0")
    fits = _EPOCH.fullmatch(epoch) and _UPSTREAM.fullmatch(upstream) and _REVISION.fullmatch(revision)
    return DebVersion(epoch, upstream, revision) if fits and len(text) <= _LONGEST else None


@total_ordering
class DebVersion:
    """A version that compares as ``dpkg --compare-versions`` does."""

    __slots__ = ("_parts",)
    __hash__ = None  # type: ignore[assignment]  # "1.0" and "1.00" are equal

    def __init__(self, epoch: str, upstream: str, revision: str) -> None:
        self._parts = epoch, upstream, revision

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DebVersion) and _compared(self._parts, other._parts) == 0

    def __lt__(self, other: DebVersion) -> bool:
        return _compared(self._parts, other._parts) < 0


def _compared(one: tuple[str, str, str], other: tuple[str, str, str]) -> int:
    (epoch, *rest), (epoch2, *rest2) = one, other
    return _numbers(epoch, epoch2) or next(filter(None, map(_parts, rest, rest2)), 0)


def _parts(one: str, other: str) -> int:
    """Text and number by turns; where one has ended, it goes on with nothing and zero."""
    for (text, number), (text2, number2) in zip_longest(_PARTS.findall(one), _PARTS.findall(other), fillvalue=_END):
        if found := _texts(text, text2) or _numbers(number, number2):
            return found
    return 0


def _numbers(one: str, other: str) -> int:
    first, second = one.lstrip("0"), other.lstrip("0")
    return _sign((len(first), first), (len(second), second))


def _texts(one: str, other: str) -> int:
    """A tilde is before the end, which is before letters, which are before all else."""
    return _sign([*map(_weight, one), 0], [*map(_weight, other), 0])


def _weight(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) + (0 if character.isalpha() else 256)


def _sign(one: object, other: object) -> int:
    return int(one > other) - int(one < other)  # type: ignore[operator]  # two of the same kind
