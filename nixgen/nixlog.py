"""Nix's structured log: what is fetched, what is built, how much is left, and what failed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Failure:
    """A derivation that failed: its .drv, Nix's sentence, and the last lines of its log."""

    drv: str
    reason: str
    log: tuple[str, ...]


@dataclass(slots=True)
class State:
    """How far a build is. Counts are derivations and paths; sizes are bytes."""

    built: int = 0
    to_build: int = 0
    fetched: int = 0
    to_fetch: int = 0
    done_bytes: int = 0
    expected_bytes: int = 0
    running: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
