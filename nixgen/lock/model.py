"""nixgen.lock as a value. All frozen; none does any input or output."""

from __future__ import annotations

from dataclasses import dataclass, field

from nixgen.artifacts.model import PinnedArtifact
from nixgen.bases.model import Base
from nixgen.builds.model import Builds
from nixgen.lock.logpins import LogPin
from nixgen.resolve.model import FileHash


@dataclass(frozen=True, slots=True)
class Lock:
    """nixgen.lock: every pin that uv.lock lacks.

    ``artifacts`` are the models, then the data, each sorted by name; ``cache`` the caches and
    ``registry`` the registries, sorted by address; ``builds`` what is built from its source.
    """

    base: Base
    hashes: tuple[FileHash, ...] = ()
    artifacts: tuple[PinnedArtifact, ...] = ()
    cache: tuple[LogPin, ...] = ()
    registry: tuple[LogPin, ...] = ()
    builds: Builds = field(default_factory=Builds)
