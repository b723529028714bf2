"""Which worker builds what: the same on every machine, about as much for each, and few move when something is added.

Rendezvous hashing with a bound on the load: each shard has its own order of preference for a key, a unit goes to the
first shard whose load it does not bring over :data:`BOUND` times the average. The large ones choose first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from hashlib import blake2b

from nixgen.fleet.model import Unit, total

BOUND = 1.1


def shards(units: Iterable[Unit], count: int) -> dict[str, int]:
    """The shard, from 0 on, of each unit by its name. What machines it asks for and its stage are told apart.

    The base of a project is a chain: all of it is one shard's.
    """
    groups: dict[tuple[str, ...], list[Unit]] = defaultdict(list)
    for unit in units:
        groups[unit.stage, unit.system, *unit.features].append(unit)
    found: dict[str, int] = {}
    for (stage, *_), group in groups.items():
        found |= _chain(group, count) if stage == "base" else _bounded(group, count)
    return found


def _chain(units: Iterable[Unit], count: int) -> dict[str, int]:
    return {unit.name: max(range(count), key=lambda shard: _wish(unit.key, shard)) for unit in units}


def _bounded(units: list[Unit], count: int) -> dict[str, int]:
    loads = [0.0] * count
    bound = BOUND * total(units) / count
    found = {}
    for unit in sorted(units, key=lambda unit: (-unit.cost, unit.key, unit.name)):
        free = [shard for shard in range(count) if loads[shard] + unit.cost <= bound]
        if free:
            shard = max(free, key=lambda shard: _wish(unit.key, shard))
        else:  # one that is larger than the bound, or the last of large ones
            shard = min(range(count), key=lambda shard: (loads[shard], -_wish(unit.key, shard)))
        loads[shard] += unit.cost
        found[unit.name] = shard
    return found


def _wish(key: str, shard: int) -> int:
    return int.from_bytes(blake2b(f"{shard} {key}".encode(), digest_size=8).digest(), "big")
