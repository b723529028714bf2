"""Which worker builds what: the same on every machine, about as much for each, and few move when something is added.

Rendezvous hashing with a bound on the load: each shard has its own order of preference for a key, a unit goes to the
first shard whose load it does not bring over :data:`BOUND` times the average. The large ones choose first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from hashlib import blake2b
from math import inf

from nixgen.fleet.model import STAGES, Unit, total

BOUND = 1.02


def shards(units: Iterable[Unit], count: int) -> dict[str, int]:
    """The shard, from 0 on, of each unit by its name. Machines that offer different things are told apart.

    The base of a project is a chain, all of it one shard's, which has the less of what comes after it: others wait.
    """
    kinds: dict[tuple[str, ...], list[Unit]] = defaultdict(list)
    for unit in units:
        kinds[unit.system, *unit.features].append(unit)
    found: dict[str, int] = {}
    for kind in kinds.values():
        loads = [0.0] * count
        for stage in STAGES:
            group = sorted(
                (unit for unit in kind if unit.stage == stage), key=lambda unit: (-unit.cost, unit.key, unit.name)
            )
            bound = BOUND * (sum(loads) + total(group)) / count if stage != "base" else inf
            for unit in group:
                shard = _shard(unit, loads, bound)
                loads[shard] += unit.cost
                found[unit.name] = shard
    return found


def _shard(unit: Unit, loads: list[float], bound: float) -> int:
    """The one that a unit prefers among those that have room."""
    free = [shard for shard, load in enumerate(loads) if load + unit.cost <= bound]
    if free:
        return max(free, key=lambda shard: _wish(unit.key, shard))
    # It is larger than the bound, or the last of large ones.
    return min(range(len(loads)), key=lambda shard: (loads[shard], -_wish(unit.key, shard)))


def _wish(key: str, shard: int) -> int:
    return int.from_bytes(blake2b(f"{shard} {key}".encode(), digest_size=8).digest(), "big")
