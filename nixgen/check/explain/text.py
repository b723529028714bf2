"""What two pieces of text that should be equal tell about why they are not: times, paths, counts, random names.

Pure functions over bytes. A piece is a line of a text file, or a run of printable characters in a binary one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

EARLIEST, LATEST = 1_199_145_600, 2_208_988_800
"""The seconds since 1970 that are taken for a time: the years 2008 to 2039."""

APART = 2 * 366 * 24 * 3600
"""And two such numbers must not be further apart than two years."""

_LONGEST = 70  # characters of a value that a sentence shows
_DAY = rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_MONTH = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_CLOCK = rb"\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?"
_ZONE = rb"(?: ?[+-]\d\d:?\d\d|Z| ?[AP]M)?(?: \(?[A-Z]{3,5}\)?)?"
_REST = rb"[^\s\"'`<>|:;,()\[\]{}\0]*"

_TIMES = re.compile(
    rb"(?:%(day)s,? )?(?:%(month)s +\d{1,2},? +%(clock)s%(zone)s(?: \d{4})?"  # ctime, date(1): Nov 21 10:58:00 UTC 2024
    rb"|\d{1,2}[ -]%(month)s[ -]\d{4}(?:,? +%(clock)s%(zone)s)?"  # RFC 5322: 21 Nov 2024 10:58:00 +0000
    rb"|%(month)s +\d{1,2},? +\d{4}(?:,? +%(clock)s%(zone)s)?)"  # __DATE__: Nov 21 2024
    rb"|(?<!\d)(?:19|20)\d\d[-/.](?:0\d|1[0-2])[-/.](?:[0-2]\d|3[01])(?:[T _]%(clock)s%(zone)s)?"  # ISO 8601
    rb"|(?<!\d)D?:?(?:19|20)\d\d(?:0\d|1[0-2])(?:[0-2]\d|3[01])(?:T?\d{4,6}Z?)?(?!\d)"  # 20241121T105800Z
    rb"|(?<![\d:])[0-2]?\d:[0-5]\d:[0-5]\d(?:\.\d+)?(?![\d:])"  # __TIME__
    % {b"day": _DAY, b"month": _MONTH, b"clock": _CLOCK, b"zone": _ZONE}
)
_BUILD_PATH = re.compile(
    rb"(?:/[\w.+-]{1,255}){0,16}/(?:nix-build-[\w.+?=-]+|nix-\d+-\d{4,}(?:/build)?)(?![\w-])"
    + _REST
    + rb"|/nix/var/nix/(?:builds|b)/"
    + _REST
    + rb"|(?<![\w/.-])/build(?=[/\s\"'`<>|:;,()\[\]{}\0]|$)"
    + _REST
)
_TEMPORARY = re.compile(
    rb"(?:/private)?(?:/var)?/tmp/" + _REST + rb"|\btmp[a-z0-9_]{8}\b|\b(?:cc|tmp\.)[A-Za-z0-9]{6,10}\b"
)
_STORE_PATH = re.compile(rb"/nix/store/[0-9a-df-np-sv-z]{32}-[\w+.?=-]+")
_UUID = re.compile(rb"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b")
_ADDRESS = re.compile(rb"\b0x[0-9a-f]{8,16}\b")
_EPOCH = re.compile(rb"(?<![\d.])(\d{10})(?:\.\d{1,9}|\d{3}|\d{6}|\d{9})?(?![\d.])")
_HOME = re.compile(rb"(?<![\w/.-])/(?:home|root|Users)(?:/" + _REST + rb")?")
_WORKERS = rb"(?:cores?|cpus?|jobs?|nproc|processors?|threads?|workers?)"
_COUNT = re.compile(
    rb"(?i)(?<![a-z])%(what)s\b\W{0,4}(?:is |of |to )?(\d{1,4})\b|(?<!\w)-j ?(\d{1,4})\b|\b(\d{1,4}) %(what)s\b"
    % {b"what": _WORKERS}
)
_HEX = re.compile(rb"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{16,128}\b")


def _any(found: bytes | None, expected: bytes | None) -> bool:
    return found != expected


def _near(found: bytes | None, expected: bytes | None) -> bool:
    if found is None or expected is None:
        return False
    return near(int(found[:10]), int(expected[:10]))


def near(found: int, expected: int) -> bool:
    """Whether two numbers are seconds since 1970 that may come from two builds of the same thing."""
    return all(EARLIEST <= value < LATEST for value in (found, expected)) and abs(found - expected) <= APART


def _both(found: bytes | None, expected: bytes | None) -> bool:
    return found is not None and expected is not None


@dataclass(frozen=True, slots=True)
class _Clue:
    """A kind of value: what it looks like, the sentence for it, and which pairs of values count."""

    pattern: re.Pattern[bytes]
    sentence: str
    counts: Callable[[bytes | None, bytes | None], bool] = _any


_CLUES = (
    _Clue(_STORE_PATH, "the path of something else in the store"),
    _Clue(_BUILD_PATH, "the path of the folder that it was built in"),
    _Clue(_TEMPORARY, "the name of a temporary file"),
    _Clue(_HOME, "a path in somebody's home"),
    _Clue(_UUID, "a random UUID", _both),
    _Clue(_TIMES, "a time"),
    _Clue(_EPOCH, "a time, in seconds since 1970", _near),
    _Clue(_COUNT, "a count of cores or jobs", _both),
    _Clue(_ADDRESS, "an address in memory", _both),
    _Clue(_HEX, "a hash or a random number", _both),
)


def clues(expected: bytes, found: bytes) -> tuple[str, ...]:
    """The sentences that two different pieces of text give away, the likeliest first; empty where nothing does."""
    return tuple(_clues(expected, found))


def _clues(expected: bytes, found: bytes) -> Iterator[str]:
    for clue in _CLUES:
        here, there = _values(clue.pattern, found), _values(clue.pattern, expected)
        if here == there:
            continue
        one, other = _first_pair(here, there)
        if not clue.counts(one, other):
            continue
        yield f"{clue.sentence}: {beside(one, other)}"
        # What is explained is taken out, so that a date in a path is not told as a date, too.
        found, expected = clue.pattern.sub(b"\0", found), clue.pattern.sub(b"\0", expected)
        if found == expected:
            return
    if (words := found.split()) != (others := expected.split()) and sorted(words) == sorted(others) and len(words) > 1:
        yield "the same words in another order"
    elif _split(found) != _split(expected) and sorted(_split(found)) == sorted(_split(expected)):
        yield "the same values in another order"


def beside(found: bytes | None, expected: bytes | None) -> str:
    """Two values in a sentence: "FOUND, EXPECTED expected"."""
    if expected is None:
        return f"{_shown(found or b'')}, nothing like it expected"
    if found is None:
        return f"{_shown(expected)} expected, nothing like it found"
    return f"{_shown(found)}, {_shown(expected)} expected"


def moment(seconds: int) -> str:
    """Seconds since 1970 as people write a time."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):  # beyond the year 9999, which a tar may have
        return f"{seconds} s after 1970"


def _values(pattern: re.Pattern[bytes], text: bytes) -> list[bytes]:
    return [match[0] for match in pattern.finditer(text)]


def _first_pair(found: list[bytes], expected: list[bytes]) -> tuple[bytes | None, bytes | None]:
    """The first place at which the two lists are not the same; None where one of them is over."""
    for place in range(max(len(found), len(expected))):
        one = found[place] if place < len(found) else None
        other = expected[place] if place < len(expected) else None
        if one != other:
            return one, other
    raise ValueError("the lists are equal")


def _split(text: bytes) -> list[bytes]:
    """A line's values without what stands between them: ``{'a', 'b'}`` is a and b."""
    return re.findall(rb"[\w.+-]+", text)


def _shown(value: bytes) -> str:
    text = value.decode("utf-8", "replace")
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
