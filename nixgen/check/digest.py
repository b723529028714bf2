"""The digest of a closure: one line that two people can compare over the phone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from nixgen.check.model import ClosurePath

_GROUP = 4


def closure_digest(paths: Iterable[ClosurePath]) -> str:
    """The SHA-256, as "sha256:" and hexadecimal digits, of one line for each path, sorted by their bytes.

    A line is name, NAR hash, NAR size and the references, sorted, with a blank between each and a newline at the end;
    docs/check.md has the command that gives the same without nixgen.
    """
    lines = sorted(path.line for path in paths)
    return "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()


def spoken(system: str, digest: str) -> str:
    """The line for people: the system, and the digest's 64 digits in groups of four."""
    digits = digest.removeprefix("sha256:")
    return " ".join([system, *(digits[start : start + _GROUP] for start in range(0, len(digits), _GROUP))])
