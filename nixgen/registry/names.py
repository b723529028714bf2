"""What models, aliases and versions may be called, and how one word of a command line names a version."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering
from typing import Self

from nixgen.errors import UserError

LONGEST = 100  # characters of a name: it is a folder on every file system
_NAME = re.compile(rf"[a-z0-9](?:[a-z0-9._-]{{0,{LONGEST - 2}}}[a-z0-9])?")
_RULE = f"use lower-case letters, digits, dots, hyphens and underscores ({LONGEST} at most; no version, not log)"
_NUMBER = r"(0|[1-9][0-9]*)"
_PART = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_PART}(?:\.{_PART})*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
RESERVED = {"log"}
"""What lies beside the models."""


def check_name(name: str, what: str) -> str:
    """The name of a model, project or alias, when it may be one: one folder, the same on every file system.

    Raises UserError.
    """
    if not _NAME.fullmatch(name) or ".." in name or name in RESERVED or _VERSION.fullmatch(name):
        why = (
            "is a version" if _VERSION.fullmatch(name) else "is kept for the log" if name in RESERVED else "is not one"
        )
        raise UserError.of(shown(name), f"cannot be the name of {what}: it {why}", _RULE)
    return name


def shown(name: str) -> str:
    """A name that somebody gave, for a sentence: short, with nothing that a terminal obeys."""
    text = name if name.isprintable() else ascii(name)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


@total_ordering
@dataclass(frozen=True, slots=True)
class Version:
    """A semantic version, ordered by precedence (Semantic Versioning 2.0.0, 11); ``text`` is as it was written."""

    text: str
    numbers: tuple[int, int, int]
    before: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises UserError for what is no semantic version."""
        found = _VERSION.fullmatch(text) if len(text) <= LONGEST else None
        if found is None:
            raise UserError.of(shown(text), "is not a semantic version", "write three numbers, like 1.2.0")
        before = tuple(found[4].split(".")) if found[4] else ()
        return cls(text, (int(found[1]), int(found[2]), int(found[3])), before)

    def bumped(self, part: str) -> Version:
        """The next version: ``part`` is major, minor or patch. One before a release becomes that release's patch."""
        major, minor, patch = self.numbers
        if part == "major":
            numbers = (major + 1, 0, 0)
        elif part == "minor":
            numbers = (major, minor + 1, 0)
        else:
            numbers = (major, minor, patch if self.before else patch + 1)
        return Version(".".join(map(str, numbers)), numbers)

    def _order(self) -> tuple[object, ...]:
        parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in self.before)
        return (self.numbers, not self.before, parts, self.text)

    def __lt__(self, other: Version) -> bool:
        return self._order() < other._order()


@dataclass(frozen=True, slots=True)
class Ref:
    """``NAME``, ``NAME@VERSION`` or ``NAME@ALIAS``."""

    name: str
    version: str = ""
    alias: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises UserError for a name, version or alias that cannot be one."""
        name, at, word = text.partition("@")
        check_name(name, "a model")
        if not at:
            return cls(name)
        if word[:1].isdigit() and word.count(".") >= 2:  # noqa: PLR2004 -- of three numbers
            return cls(name, version=Version.parse(word).text)
        return cls(name, alias=check_name(word, "an alias"))

    def __str__(self) -> str:
        return f"{self.name}@{self.version or self.alias}" if self.version or self.alias else self.name


def split_ref(text: str) -> tuple[str, Ref]:
    """A version that may be another project's, ``PROJECT/NAME@ALIAS``: the project, "" for one's own, and the rest.

    Raises UserError.
    """
    project, slash, rest = text.rpartition("/")
    return (check_name(project, "a project") if slash else ""), Ref.parse(rest)
