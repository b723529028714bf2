"""``nixgen build --collect``: the one who logs. It checks what workers left, appends it to the log, then signs it.

Workers have a key of their own, which nobody else trusts: what readers trust is signed here, after it was compared with
its receipt, the records of the projects and the log, and after it was logged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nixgen import console
from nixgen.cache import contents, copying
from nixgen.cache.anomalies import anomalies
from nixgen.cache.entry import Entry
from nixgen.cache.keys import Keys
from nixgen.cache.place import Place
from nixgen.cache.push import contradiction
from nixgen.check import record
from nixgen.check.model import ClosurePath
from nixgen.errors import Finding, Problem
from nixgen.fleet.model import Plan
from nixgen.fleet.receipts import Receipts
from nixgen.log.append import append
from nixgen.log.checkpoint import Checkpoint
from nixgen.log.log import Log
from nixgen.log.note import Verifier
from nixgen.log.seen import Seen
from nixgen.log.stores.opening import open_storage

_AGAIN = "run its shard again: nixgen build --shard I/N"


@dataclass(frozen=True, slots=True)
class Collected:
    """What the log got: its checkpoint, how many entries are new, how many paths got the signature.

    ``missing`` are the units of the plan that nobody has published.
    """

    checkpoint: Checkpoint
    logged: int
    signed: int
    missing: tuple[str, ...]


def collect(place: Place, keys: Keys, workers: Sequence[Verifier], plan: Plan) -> Collected:
    """Logs and signs what workers published of a plan, with all that it refers to.

    Raises Finding for receipts and bytes that do not fit; all else is logged before. What was logged otherwise is
    logged as a contradiction, as `nixgen cache push` does, and not signed.
    """
    log = Log.open(open_storage(place.log), keys.verifier, None)
    said = Seen.of(log, Entry)
    said.update(log)
    receipts, cache = Receipts.of(place, workers), contents.open_contents(place)
    with console.step(f"reading the receipts of {place.url}"):
        found = dict(receipts.closure(plan.units))
    problems = [one for one in found.values() if isinstance(one, Problem)]
    recorded = _recorded(plan)
    sound, unsigned, before = {}, [], set()
    for item in cache.look(sorted(found)):
        entry = found[item.name]
        if item.info is None or cache.lost(item.info) or isinstance(entry, Problem):
            continue  # its worker was killed before it came to that
        if entry is None:
            if keys.public.signed(item.info):
                before.add(item.name)  # by `nixgen cache push`, which logs
            continue
        wrong = anomalies(item, [entry], recorded.get(item.name), [keys.public])
        problems += [Problem(one.path, f"{one.kind}: {one.what}") for one in wrong if one.kind != "unsigned"]
        if not {one.kind for one in wrong} - {"unsigned"}:
            sound[item.name] = entry
            if not keys.public.signed(item.info):
                unsigned.append(item.name)
    entries = _closed(sound, before)
    with console.step(f"logging {len(entries)} paths"):
        done = append(log, [entries[name] for name in sorted(entries)], keys.signer, said)
        said.update(log)
    problems += contradiction(place, done.conflicts).problems if done.conflicts else ()
    bad = {one.path for one in done.conflicts}
    signed = [name for name in unsigned if name in entries and name not in bad]
    copying.sign(cache.nix, signed, keys.secret)
    if problems:
        raise Finding(sorted(problems))
    missing = tuple(name for name in sorted(plan.units) if name not in entries and name not in before)
    return Collected(done.checkpoint, len(done.added), len(signed), missing)


def missing(done: Collected) -> Finding | None:
    """The error for what nobody has published."""
    what = "is in the plan, and no worker has published it"
    return Finding(Problem(name, what, _AGAIN) for name in done.missing) if done.missing else None


def _closed(entries: Mapping[str, Entry], before: set[str]) -> dict[str, Entry]:
    """Those of which all that they refer to is there: half a closure is of no use to anybody."""
    kept = dict(entries)
    while broken := [name for name, one in kept.items() if not set(one.references) <= kept.keys() | before]:
        for name in broken:
            del kept[name]
    return kept


def _recorded(plan: Plan) -> dict[str, ClosurePath]:
    """What the records of the plan's projects say, as far as they are here."""
    found: dict[str, ClosurePath] = {}
    for one in plan.members:
        noted = record.read_record(Path(one.folder, record.NAME), f"{one.folder}/{record.NAME}")
        if noted is not None and one.system in noted.systems:
            found |= noted.systems[one.system].closure
    return found
