"""The bases as nixgen.lock pins them. All frozen; none does any input or output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BaseKind = Literal["nixpkgs", "debian"]
Part = Literal["core", "extra", "build", "needs", "git"]
PARTS: tuple[Part, ...] = ("core", "extra", "build", "needs", "git")


@dataclass(frozen=True, slots=True)
class Deb:
    """One Debian package, pinned by the SHA-256 that apt's signed index gives.

    ``part`` is the tree that it is unpacked into: core, the same for every project; extra, ``libraries`` and ``tools``;
    build, the compilers, where something is built from its source; needs, ``build-libraries`` and ``build-tools``. git,
    what fetches sources from git, where there are any. The last three may hold a package that extra has, too.
    """

    name: str
    version: str
    system: str
    part: Part
    url: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """The static busybox that unpacks the first .deb: a tarball in nix/nixgen/bootstrap, pinned by its SHA-256."""

    system: str
    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class DebianBase:
    """The debian base of nixgen.lock. ``glibc`` is the lowest of its systems' ("2.36").

    ``build_libraries`` and ``build_tools`` are those of all packages that are built. ``snapshots`` are the times, as
    Debian's snapshot service writes them (20261121T091544Z), at which the mirror had the packages, newest first.
    """

    suite: str
    python: str
    glibc: str
    libraries: tuple[str, ...]
    tools: tuple[str, ...]
    bootstrap: tuple[Bootstrap, ...]
    debs: tuple[Deb, ...]
    build_libraries: tuple[str, ...] = ()
    build_tools: tuple[str, ...] = ()
    snapshots: tuple[str, ...] = ()
    kind: Literal["debian"] = "debian"

    @property
    def toolchain(self) -> bool:
        """Whether compilers are pinned with it."""
        return any(deb.part == "build" for deb in self.debs)

    @property
    def git(self) -> bool:
        """Whether git is pinned with it."""
        return any(deb.part == "git" for deb in self.debs)


@dataclass(frozen=True, slots=True)
class NixpkgsBase:
    """The nixpkgs base of nixgen.lock: one revision of nixpkgs with its NAR hash (SRI) and its glibc's version.

    ``python_full`` is the whole version ("3.13.9") that markers were evaluated with, "" in a lock that does not say.
    ``unfree``: packages that are not free software may be named.
    """

    name: str
    rev: str
    nar_hash: str
    last_modified: int
    glibc: str
    python: str
    libraries: tuple[str, ...]
    tools: tuple[str, ...]
    python_full: str = ""
    build_libraries: tuple[str, ...] = ()
    build_tools: tuple[str, ...] = ()
    unfree: bool = False
    kind: Literal["nixpkgs"] = "nixpkgs"


Base = DebianBase | NixpkgsBase
