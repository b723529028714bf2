"""Moving aliases: ``promote`` to a version whose conditions hold, ``rollback`` to the one before.

A move says which one it follows (its serial number): of two at once, the log takes the first, and the other is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nixgen.errors import Finding, Problem, UserError
from nixgen.log.checkpoint import Checkpoint
from nixgen.registry.entry import Condition, Entry
from nixgen.registry.names import Ref, check_name
from nixgen.registry.registry import Registry
from nixgen.registry.stamp import Stamp
from nixgen.registry.state import Model
from nixgen.registry.verify import sound


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move did; ``checkpoint`` is the log's now."""

    entry: Entry
    checkpoint: Checkpoint


def promote(
    registry: Registry, ref: Ref, alias: str, stamp: Stamp, verdict: Sequence[Condition], *, override: bool = False
) -> Moved:
    """Gives an alias to a version. ``verdict`` is what the policy's conditions came to, each of which must hold.

    Raises Finding where one does not (unless ``override``, which is logged), where the version's bytes are not those
    that were published, and where somebody else moved the alias first.
    """
    check_name(alias, "an alias")
    entry = registry.state().version(registry.project, ref)
    failed = [one for one in verdict if not one.holds]
    if failed and not override:
        mend = 'mend it, or say why it is accepted: --override "reason"'
        raise Finding(Problem(one.name, f"{one.value}, wanted {one.wanted}", mend) for one in failed)
    _sound(registry, entry)
    told = stamp.entry(
        "promote", entry.model, entry.version, alias=alias, verdict=tuple(verdict), override=bool(failed)
    )
    return _move(registry, told)


def rollback(registry: Registry, name: str, alias: str, stamp: Stamp, to: str = "") -> Moved:
    """Gives an alias back to the version that it had before the one that it has, or to ``to``, which it once had.

    Raises UserError where there is none, Finding for a version whose bytes are not those that were published.
    """
    model = registry.state().model(registry.model(name))
    now = model.alias(check_name(alias, "an alias"))
    had = list(dict.fromkeys(move.version for move in model.moves.get(alias, [])))
    if not now:
        known = ", ".join(model.aliases()) or "none yet"
        raise UserError.of(f"{name}@{alias}", "there is no such alias", f"aliases that it has: {known}")
    version = to or model.before(alias)
    if not version or version == now or version not in had:
        others = ", ".join(one for one in had if one != now) or "none"
        what = f"never was {to}" if to and to != now else "has no version to go back to"
        raise UserError.of(f"{name}@{alias}", f"{what}; it is {now}", f"versions that it had (--to): {others}")
    _sound(registry, model.versions[version])
    return _move(registry, stamp.entry("rollback", model.name, version, alias=alias))


def _move(registry: Registry, told: Entry) -> Moved:
    """Does what an entry tells, as the move after the one that is last now."""
    model = registry.state().model(told.model)
    where = f"{told.model}@{told.alias}"
    before = _last(model, told.alias)
    if before[0] == told.version:
        raise UserError.of(where, f"is {told.version} already", "see its moves: nixgen registry history")
    entry = replace(told, previous=before[0], serial=before[1] + 1)
    with registry.files.exclusive():
        now = _last(registry.renew().model(told.model), told.alias)
        if now != before:
            raise _late(where, before[0], now[0])
        done = registry.append(entry)
        if done.conflicts:
            raise _late(where, before[0], registry.renew().model(told.model).alias(told.alias))
        registry.relink(told.model, told.alias)
    return Moved(entry, done.checkpoint)


def _last(model: Model, alias: str) -> tuple[str, int]:
    """An alias's version, and how many moves there were."""
    return model.alias(alias), len(model.moves.get(alias, []))


def _sound(registry: Registry, entry: Entry) -> None:
    if problems := sound(registry, entry):
        raise Finding(problems)


def _late(where: str, before: str, now: str) -> Finding:
    what = f"was moved by somebody else meanwhile: from {before or 'nothing'} to {now}; nothing was done"
    return Finding.of(where, what, "look at it, and run the command again: nixgen registry history")
