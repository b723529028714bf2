"""The values that travel from the parsers to the templates. All frozen; none does any input or output."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from nixgen.artifacts.model import PinnedArtifact, ServiceSpec
from nixgen.cache.pins import CachePin
from nixgen.errors import Problem

Kind = Literal["wheel", "sdist", "vcs", "archive", "directory"]
BaseKind = Literal["nixpkgs", "debian"]


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """One machine type to resolve for: a Nix system (``x86_64-linux``) and a Python version (``3.11``).

    ``full`` is the interpreter's whole version ("3.11.2") where it is known: markers may compare it.
    """

    system: str
    python: str
    full: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Package:
    """A distribution that uv would install for a target.

    ``name`` is normalized (PEP 503). ``file``, ``url``, ``sha256`` (hexadecimal) and ``size`` (bytes) tell the one
    file that was chosen; each is None where the lock does not say or the kind has no file. ``path`` is a directory
    source's folder, relative to the project, with forward slashes ("." is the project itself).
    """

    name: str
    version: str | None
    kind: Kind
    file: str | None = None
    url: str | None = None
    sha256: str | None = None
    size: int | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Resolution:
    """What uv would install for one target, sorted by name, and what stands in the way of building it.

    A problem's ``where`` is the package's name.
    """

    target: Target
    packages: tuple[Package, ...]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceTree:
    """A directory source as the environment sees it: importable from the work tree, with complete metadata.

    ``roots`` are the folders that go on ``sys.path`` and ``modules`` the top-level importable names found there;
    roots are relative to the project ("src", ".", "libs/core/src"). ``metadata`` and ``entry_points`` are the texts
    of METADATA and entry_points.txt (core metadata 2.x and the entry points specification).
    """

    name: str
    version: str
    path: str
    roots: tuple[str, ...]
    modules: tuple[str, ...]
    metadata: str
    entry_points: str


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
    """The nixpkgs base of nixgen.lock: one revision of nixpkgs with its NAR hash (SRI) and its glibc's version."""

    name: str
    rev: str
    nar_hash: str
    last_modified: int
    glibc: str
    python: str
    libraries: tuple[str, ...]
    tools: tuple[str, ...]
    kind: Literal["nixpkgs"] = "nixpkgs"


Base = DebianBase | NixpkgsBase


@dataclass(frozen=True, slots=True)
class FileHash:
    """What ``nixgen lock`` found for a file that uv.lock names without a hash."""

    url: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Lock:
    """nixgen.lock: every pin that uv.lock lacks.

    ``artifacts`` are the models, then the data, each sorted by name; ``cache`` the caches, sorted by address.
    """

    base: Base
    hashes: tuple[FileHash, ...] = ()
    artifacts: tuple[PinnedArtifact, ...] = ()
    cache: tuple[CachePin, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """All that the templates need.

    ``digests`` maps "uv.lock", "nixgen.lock" and "models.toml" to what ``generate.digests`` says of them; ``prefer``,
    ``skip_imports`` and ``smoke`` are the settings of these names; ``artifacts`` are the lock's, ``services`` those of
    models.toml.
    """

    name: str
    base: Base
    systems: tuple[str, ...]
    resolutions: tuple[Resolution, ...]
    trees: tuple[SourceTree, ...]
    digests: dict[str, str] = field(default_factory=dict)
    prefer: tuple[str, ...] = ()
    skip_imports: tuple[str, ...] = ()
    smoke: tuple[str, ...] = ()
    artifacts: tuple[PinnedArtifact, ...] = ()
    services: tuple[ServiceSpec, ...] = ()
