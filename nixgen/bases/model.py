"""The bases as nixgen.lock pins them. All frozen; none does any input or output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BaseKind = Literal["nixpkgs", "debian"]


@dataclass(frozen=True, slots=True)
class Deb:
    """One Debian package, pinned by the SHA-256 that apt's signed index gives. ``part`` is core or extra."""

    name: str
    version: str
    system: str
    part: Literal["core", "extra"]
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
    """The debian base of nixgen.lock. ``glibc`` is the lowest of its systems' ("2.36")."""

    suite: str
    python: str
    glibc: str
    libraries: tuple[str, ...]
    tools: tuple[str, ...]
    bootstrap: tuple[Bootstrap, ...]
    debs: tuple[Deb, ...]
    kind: Literal["debian"] = "debian"


@dataclass(frozen=True, slots=True)
class NixpkgsBase:
    """The nixpkgs base of nixgen.lock: one revision of nixpkgs with its NAR hash (SRI) and its glibc's version.

    ``python_full`` is the whole version ("3.13.9") that markers were evaluated with, "" in a lock that does not say.
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
    kind: Literal["nixpkgs"] = "nixpkgs"


Base = DebianBase | NixpkgsBase
