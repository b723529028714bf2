"""Builds as nixgen.lock pins them. All frozen; none does any input or output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nixgen.errors import NixgenError


@dataclass(frozen=True, slots=True)
class BuildWheel:
    """A wheel that some build needs. ``url`` is ``file:`` and a path for one that lies in the project."""

    name: str
    version: str
    file: str
    url: str
    sha256: str
    size: int | None = None


@dataclass(frozen=True, slots=True, order=True)
class Crate:
    """A crate that a source's Cargo.lock names, and where it is fetched from."""

    name: str
    version: str
    url: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Build:
    """A source that is built, and what it needs for that.

    ``source`` is the address of its file (``https://…``, ``file:PATH`` in the project), with ``file``, ``sha256`` and
    ``size``; ``git+URL@COMMIT`` (and ``#subdirectory=``) with ``nar_hash``; or ``folder:PATH`` in it. ``epoch``
    is its SOURCE_DATE_EPOCH.
    ``requires`` has for each system the wheels by their file name, and other builds as ``name==version``; ``inputs`` is
    the digest of all that was asked for when these were found (:mod:`nixgen.builds.asked`). One that is ``pure`` needs
    no compiler. ``asked`` is the system that its backend was asked on, where it is for others, too.
    """

    name: str
    version: str
    source: str
    epoch: int
    inputs: str
    requires: Mapping[str, tuple[str, ...]]
    file: str = ""
    sha256: str = ""
    size: int | None = None
    nar_hash: str = ""
    crates: tuple[Crate, ...] = ()
    pure: bool = False
    asked: str = ""

    @property
    def key(self) -> str:
        """What other builds call it."""
        return f"{self.name}=={self.version}"


@dataclass(frozen=True, slots=True)
class Builds:
    """All builds, sorted by name and version, and all wheels that they need, each once, sorted by file name."""

    sources: tuple[Build, ...] = ()
    wheels: tuple[BuildWheel, ...] = ()


class UnservedError(Exception):
    """What a build requires cannot be had on some systems, which nobody named, while it can on others."""

    def __init__(self, systems: frozenset[str], error: NixgenError) -> None:
        super().__init__()
        self.systems, self.error = systems, error
