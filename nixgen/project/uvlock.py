"""What nixgen reads of uv.lock by itself: its version, its local packages. What to install, ``uv export`` tells.

uv writes one ``[[package]]`` table after the other; only those of local sources are parsed, so that a lock of
megabytes costs milliseconds.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nixgen.errors import UserError
from nixgen.formats import toml
from nixgen.formats.foreign import table, tables

VERSION = 1
"""The version of uv.lock's format that this nixgen (and its uv) understands."""

BROKEN = "restore it: git checkout HEAD -- uv.lock && uv lock (newer versions of all: rm uv.lock && uv lock)"
"""What mends a lock that uv cannot read, after a merge mostly: uv does not write over it, and keeps what is there."""

# Both begin with the end of the line before: a text to look for, where "^" would be tried at each character.
_PACKAGE = re.compile(r"\n\[\[package\]\]")
_SOURCE = r'^\[\[package\]\]\nname = "([^"\n]+)"\n(?:version = [^\n]*\n)?source = \{ %s = "([^"\n]*)" \}'
_LOCAL = re.compile(r"\nsource = \{ (?:editable|directory|virtual) = ")
_WHEELS = r"(?m)^wheels = \[\n(?:    [^\n]*+\n)*+\]$"


_NEED = (("name", None), ("version", ""), ("marker", ""))  # what is read of a requirement, and what it may lack


@dataclass(frozen=True, slots=True)
class UvLock:
    """uv.lock: the keys before the first package, and the packages whose source is a folder."""

    head: Mapping[str, Any]
    local: tuple[Mapping[str, Any], ...]


def read(text: str) -> UvLock:
    """Parses the head and the local packages.

    Raises UserError for TOML that cannot be read, and for a version other than 1.
    """
    text = f"\n{text}"
    starts = [match.start() + 1 for match in _PACKAGE.finditer(text)]
    head = _toml(text[1 : starts[0]] if starts else text[1:])
    version = head.get("version")
    if version != VERSION:
        raise UserError.of(
            "uv.lock: version",
            f"{'nothing' if version is None else repr(version)} is not a version that this nixgen knows; "
            f"it knows {VERSION}",
            "use a nixgen and a uv that know it (pip install --upgrade nixgen uv), or write it again: "
            "rm uv.lock && uv lock",
        )
    ends = [*starts[1:], len(text)]
    found = dict.fromkeys(bisect_right(starts, match.start()) - 1 for match in _LOCAL.finditer(text))
    local = "".join(text[starts[at] : ends[at]] for at in found if at >= 0)
    return UvLock(head, tuple(tables(_toml(local).get("package"))))


def packages(text: str) -> tuple[Mapping[str, Any], ...]:
    """Every package but for its wheels, which are most of a lock.

    Raises UserError for TOML that cannot be read, and for names, versions and markers that are no text.
    """
    found = tuple(tables(_toml(re.sub(_WHEELS, "", text)).get("package")))
    for place, block in enumerate(found):
        needs = [block.get("dependencies"), *table(block, "optional-dependencies").values()]
        needs += table(block, "dev-dependencies").values()
        for key, value in [
            ("name", block.get("name")),
            ("version", block.get("version", "")),
            *(
                (f"dependencies: {key}", one.get(key, other))
                for some in needs
                for one in tables(some)
                for key, other in _NEED
            ),
        ]:
            if not isinstance(value, str):
                raise UserError.of(f"uv.lock: package[{place}].{key}", "is not a string", "write it again: uv lock")
    return found


def git_sources(text: str) -> list[tuple[str, str]]:
    """Name and address of every package from git, as they are written."""
    return re.findall(_SOURCE % "git", text, re.MULTILINE)


def path_sources(text: str) -> list[tuple[str, str]]:
    """Name and path of every package that is one file of this machine, as they are written."""
    return re.findall(_SOURCE % "path", text, re.MULTILINE)


def _toml(text: str) -> dict[str, Any]:
    try:
        return toml.loads(text)
    except toml.TomlError as error:
        raise UserError.of("uv.lock", f"is not TOML that can be read: {error}", BROKEN) from None


def folder(package: Mapping[str, Any]) -> str:
    """Where a local package is, as uv.lock writes it: relative to the project, "." for the project itself."""
    return next((path for path in table(package, "source").values() if isinstance(path, str)), "")
