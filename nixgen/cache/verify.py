"""``nixgen cache verify``: every path of a cache, its log and the record against each other."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from nixgen import console
from nixgen.cache import contents
from nixgen.cache.anomalies import Anomaly, anomalies, failure
from nixgen.cache.contents import Contents
from nixgen.cache.entry import Entry, read
from nixgen.cache.pinning import Trust
from nixgen.cache.place import Place
from nixgen.check.model import ClosurePath, SystemRecord
from nixgen.check.progress import Counter
from nixgen.errors import NixgenError, Problem
from nixgen.log.checkpoint import Checkpoint, root_text
from nixgen.log.findings import LogFinding
from nixgen.log.log import Log
from nixgen.log.seen import Seen
from nixgen.log.stores.opening import open_storage

_HASH = 32  # digits of a path's hash
MENDS: Mapping[str, str] = {
    "missing": "push it again from a machine that has it: nixgen cache push",
    "extra": "harmless; the cache's owner can delete it",
    "rewritten": "do not trust the cache's host: its files were changed",
    "resigned": "the key leaked, or its owner published different bytes: ask the owner, and change the key",
    "unlogged": "do not use it: ask the key's owner what it is; nixgen cache push logs what it publishes",
    "unsigned": "sign it with the cache's key: nixgen cache push",
    "conflict": "find out which build differs: nixgen check --rebuild",
    "recorded": "find out which build differs: nixgen check",
    "unread": "run the command again; if the error stays, ask the cache's owner",
}


@dataclass(frozen=True, slots=True)
class Report:
    """What was compared and what is wrong. ``log`` is the finding about the log itself: nothing was compared then.

    ``paths`` were looked at, ``nars`` read whole; ``notes`` say what could not be told.
    """

    url: str
    checkpoint: Checkpoint | None
    paths: int = 0
    nars: int = 0
    anomalies: tuple[Anomaly, ...] = ()
    log: LogFinding | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong and something was compared."""
        return self.log is None and not self.anomalies and self.paths > 0

    def problems(self) -> list[Problem]:
        """Each thing that is wrong, as a sentence."""
        if self.log is not None:
            return list(self.log.problems)
        told = [Problem(item.path, f"{item.kind}: {item.what}", MENDS[item.kind]) for item in self.anomalies]
        return told or (
            [] if self.paths else [Problem(self.url, "neither cache nor log has a path: nothing was compared")]
        )

    def text(self) -> str:
        """The verdict when all is well."""
        size = self.checkpoint.size if self.checkpoint else 0
        lines = [f"{self.url}: {self.paths} paths and {self.nars} NARs match the log of {size} entries."]
        if self.checkpoint:
            lines.append(f"The log's root is {root_text(self.checkpoint.root)}")
        return "\n".join([*lines, *self.notes])

    def json(self) -> str:
        """The whole report as JSON, version 1."""
        return json.dumps(self._table(), indent=2, sort_keys=True)

    def _table(self) -> dict[str, object]:
        log: dict[str, object] | None = None
        if self.log is not None:
            proof = self.log.proof
            log = {
                "kind": self.log.kind,
                "what": [problem.what for problem in self.log.problems],
                "proof": None
                if proof is None
                else {
                    "recorded": _checkpoint(proof.known),
                    "found": _checkpoint(proof.found),
                    "hashes": [root_text(item) for item in proof.hashes],
                    "leadsTo": root_text(proof.leads_to) if proof.leads_to is not None else None,
                },
            }
        return {
            "version": 1,
            "url": self.url,
            "ok": self.ok,
            "checkpoint": _checkpoint(self.checkpoint),
            "paths": self.paths,
            "nars": self.nars,
            "log": log,
            "anomalies": [{"path": item.path, "kind": item.kind, "what": item.what} for item in self.anomalies],
            "notes": list(self.notes),
        }


def _checkpoint(checkpoint: Checkpoint | None) -> dict[str, object] | None:
    if checkpoint is None:
        return None
    return {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": root_text(checkpoint.root),
        "note": checkpoint.note,
    }


def entries(log: Log) -> dict[str, list[Entry]]:
    """All that a log says, by path, in its order.

    Raises LogFinding when it is not what its checkpoint says, or does not go on from what this machine saw of it last.
    """
    Seen.of(log, Entry).update(log)
    found: dict[str, list[Entry]] = defaultdict(list)
    for entry in read(log):
        found[entry.path].append(entry)
    return dict(found)


def verify(
    place: Place,
    trust: Trust,
    systems: Mapping[str, SystemRecord],
    *,
    recorded_only: bool = False,
    bytes_too: bool = True,
) -> Report:
    """Compares all paths of cache, log and record (its ``systems``); with ``recorded_only``, those of the record alone.

    A system of the record whose root was never logged was never pushed whole: what it lacks is not missed.
    Raises MachineError when cache or log cannot be reached. What is wrong is in the report.
    """
    log: Log | None = None
    try:
        with console.step(f"reading the log of {place.url}"):
            log = Log.open(open_storage(place.log), trust.verifier, trust.known)
            logged = entries(log)
    except LogFinding as error:
        return Report(place.url, log.checkpoint() if log else None, log=error)
    cache = contents.open_contents(place)
    recorded = {name: path for system in systems.values() for name, path in system.closure.items()}
    expected, notes = _pushed(systems, logged)
    if recorded_only:
        wanted = sorted(expected)
    else:
        wanted, more = _wanted(cache, place, expected | set(logged), recorded)
        notes += more
    seen = cache.look(wanted)
    count, show = itertools.count(1), Counter("compared")
    if bytes_too:
        sizes = {name: path.nar_size for name, path in recorded.items()}
        sizes |= {name: entries[0].nar_size for name, entries in logged.items()}
        seen = contents.nars(cache, seen, sizes, lambda item: show(next(count), len(wanted), item.name))
    paths = nars = 0
    wrong: list[Anomaly] = []
    with console.step(f"comparing {len(wanted)} paths of {place.url}"):
        for item in seen:  # a few at a time: what a cache says may be long
            paths, nars = paths + 1, nars + (item.nar is not None)
            wrong += anomalies(item, logged.get(item.name, ()), recorded.get(item.name), trust.keys)
    return Report(place.url, log.checkpoint(), paths, nars, tuple(sorted(wrong)), notes=tuple(notes))


def _pushed(systems: Mapping[str, SystemRecord], logged: Mapping[str, object]) -> tuple[set[str], list[str]]:
    """The paths of the systems that were pushed, and a sentence for each that was not."""
    expected: set[str] = set()
    notes = []
    for name, system in sorted(systems.items()):
        if system.outputs["root"].out.rpartition("/")[2] in logged:
            expected |= set(system.closure)
        else:
            notes.append(f"{name}: what the record has was never pushed as a whole, so none of it was missed.")
    return expected, notes


def _wanted(
    cache: Contents, place: Place, known: set[str], recorded: Mapping[str, ClosurePath]
) -> tuple[list[str], list[str]]:
    """The names of all paths to look at: those that are known, and what a cache that can be listed has besides."""
    listed = cache.listed()
    if listed is None:
        return sorted(known), [f"{place.scheme}:// cannot be listed: paths that are extra were not looked for."]
    names = {name[:_HASH]: name for name in recorded}
    strangers = {names.get(digest, digest) for digest in listed - {name[:_HASH] for name in known}}
    return sorted(known | strangers), []


def refusal(report: Report) -> NixgenError:
    """The error that tells what is wrong."""
    return report.log or failure(report.problems(), report.anomalies, report.paths)
