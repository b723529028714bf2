"""What a bill of materials holds. All frozen; none does any input or output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Type = Literal["application", "data", "library", "machine-learning-model", "platform"]
"""The types of CycloneDX that are used here."""

Scope = Literal["required", "excluded"]
"""Whether a component is in the environment, or only needed to build it."""


@dataclass(frozen=True, slots=True, order=True)
class File:
    """A file that a component is made of: its name, where it comes from ("": not told), its SHA-256 (hexadecimal).

    ``size`` is in bytes, 0 where it is not told.
    """

    name: str
    url: str = ""
    sha256: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence: an SPDX expression, or the name that its author gave it."""

    text: str
    spdx: bool


@dataclass(frozen=True, slots=True)
class Advised:
    """What an advisory database calls a component: its ecosystem ("PyPI", "Debian:12"), name and version there."""

    ecosystem: str
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Component:
    """A part of an environment. ``ref`` is its name within the document, ``purl`` what scanners call it ("": none).

    ``files`` are what it is fetched as, ``contents`` the files that it holds, where these are pinned one by one;
    ``properties`` pairs of CycloneDX's own kind, whose names may be there several times.
    """

    type: Type
    name: str
    version: str
    ref: str
    purl: str = ""
    scope: Scope = "required"
    files: tuple[File, ...] = ()
    contents: tuple[File, ...] = ()
    licences: tuple[Licence, ...] = ()
    properties: tuple[tuple[str, str], ...] = ()
    source: str = ""
    advised: Advised | None = None


@dataclass(frozen=True, slots=True)
class Bom:
    """The bill of materials of one environment.

    ``components`` are sorted by their ``ref``; ``depends`` has for each ref the refs that it requires, as far
    as uv.lock tells; ``root`` is the project's ref there.
    """

    name: str
    version: str
    environment: str
    systems: tuple[str, ...]
    components: tuple[Component, ...]
    depends: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def root(self) -> str:
        """The project's own ref."""
        return f"project:{self.name}"
