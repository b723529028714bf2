"""``nixgen cache pull``: takes the paths of a project from a cache when they are what was logged and recorded.

They are compared before Nix takes them, with all that the cache says of them, and afterwards, as they lie on the disk:
between the two questions a cache may answer otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nixgen import console
from nixgen.cache import contents, copying
from nixgen.cache.anomalies import Anomaly, anomalies, difference, failure
from nixgen.cache.contents import Contents
from nixgen.cache.entry import Entry
from nixgen.cache.narinfo import base, whole
from nixgen.cache.pinning import Trust
from nixgen.cache.place import Place
from nixgen.cache.verify import MENDS, entries
from nixgen.check import closure as closure_of
from nixgen.check.compare import in_order
from nixgen.check.model import ClosurePath
from nixgen.errors import Finding, Problem
from nixgen.log.checkpoint import Checkpoint
from nixgen.log.log import Log
from nixgen.log.stores.opening import open_storage
from nixgen.nix.tools import Nix, PathInfo


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull did: paths that it took, paths that were here already."""

    checkpoint: Checkpoint | None
    taken: tuple[str, ...]
    there: tuple[str, ...]


def pull(place: Place, trust: Trust, outputs: Sequence[str], recorded: Mapping[str, ClosurePath]) -> Pulled:
    """Takes store paths with all that they refer to.

    Raises LogFinding when the log is not what it was; Finding, and takes nothing, when a path is missing in the cache
    or not what was logged and recorded; Finding, and removes what it took, when the bytes that came are others.
    """
    nix = Nix.here()
    with console.step(f"reading the log of {place.url}"):
        log = Log.open(open_storage(place.log), trust.verifier, trust.known)
        logged = entries(log)
    cache = contents.open_contents(place)
    names = closure(logged, map(base, outputs))
    here = nix.infos(map(whole, names))
    problems = other_here(here, logged)
    with console.step(f"asking {place.url} what it has"):
        wrong = before(cache, names, logged, recorded, trust)
    problems += [Problem(one.path, f"{one.kind}: {one.what}; nothing was taken", MENDS[one.kind]) for one in wrong]
    if problems:
        raise failure(sorted(problems), wrong, len(names))
    wanted = in_order({name: as_logged(logged[name][0]) for name in names if whole(name) not in here})
    try:
        copying.copy_from(nix, place, wanted, trust.keys)
    except BaseException:
        stopped(nix, wanted, logged)
        raise
    after(nix, wanted, logged)
    return Pulled(log.checkpoint(), tuple(sorted(wanted)), tuple(sorted(map(base, here))))


def closure(logged: Mapping[str, Sequence[Entry]], names: Iterable[str]) -> list[str]:
    """The paths and all that they refer to, as the log says: a cache could name others without an end."""
    found: set[str] = set()
    queue = list(names)
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            queue += logged[name][0].references if name in logged else ()
    return sorted(found)


def before(
    cache: Contents,
    names: Sequence[str],
    logged: Mapping[str, Sequence[Entry]],
    recorded: Mapping[str, ClosurePath],
    trust: Trust,
) -> list[Anomaly]:
    """What speaks against taking the paths, by what the cache says of them."""
    wrong: list[Anomaly] = []
    for item in cache.look(names):
        if item.info is None and not item.why and not item.unread and item.name not in logged:
            wrong.append(Anomaly(item.name, "missing", "is in neither the cache nor its log"))
        else:
            wrong += anomalies(item, logged.get(item.name, ()), recorded.get(item.name), trust.keys)
    return wrong


def other_here(here: Mapping[str, PathInfo], logged: Mapping[str, Sequence[Entry]]) -> list[Problem]:
    """Paths that this machine has already, and with other content than was logged: Nix never looks again."""
    problems = []
    for path, info in here.items():
        said = logged.get(base(path))
        now = closure_of.noted([info])[base(path)]
        if said and (wanted := as_logged(said[0])) != now:
            what = f"is here with other content than was logged: {difference(now, wanted)}"
            problems.append(Problem(base(path), what, "find out which build differs: nixgen check"))
    return problems


def as_logged(entry: Entry) -> ClosurePath:
    """What the log says of a path, as a closure has it."""
    return ClosurePath(entry.path, entry.nar_hash, entry.nar_size, entry.references)


def after(nix: Nix, names: Sequence[str], logged: Mapping[str, Sequence[Entry]]) -> None:
    """That what came is what was logged, by its bytes on the disk. Removes it again when it is not; raises Finding."""
    infos = nix.infos(map(whole, names))
    found = closure_of.on_disk(nix, infos)
    wrong = {name: "did not arrive" for name in names if name not in found} | others(found, logged)
    if wrong:
        raise removed(nix, infos, wrong)


def stopped(nix: Nix, names: Sequence[str], logged: Mapping[str, Sequence[Entry]]) -> None:
    """The same of what came before Nix stopped, by what Nix noted of it: it compared that with the bytes as they came.

    What is as it was logged may stay.
    """
    infos = nix.infos(map(whole, names))
    wrong = others(closure_of.noted(infos.values()), logged)
    if wrong:
        raise removed(nix, infos, wrong)


def others(found: Mapping[str, ClosurePath], logged: Mapping[str, Sequence[Entry]]) -> dict[str, str]:
    """Of paths that came, those that are not what was logged: name → how so."""
    wanted = {name: as_logged(logged[name][0]) for name in found}
    return {
        name: f"came with other content than was logged: {difference(now, wanted[name])}"
        for name, now in found.items()
        if now != wanted[name]
    }


def removed(nix: Nix, came: Iterable[str], wrong: Mapping[str, str]) -> Finding:
    """Removes all that came, and says what was wrong with it."""
    # What is fine can be taken again, and a path that others refer to cannot go alone.
    paths = tuple(came)
    # Nix keeps what any process has in its arguments or environment, as one that asks for this path has. It came just
    # now, so nobody can need it: nix-store(1) takes that for a reason as well, while a daemon never does.
    gone = any(
        nix.run("nix-store", "--delete", *flag, *paths, check=False).code == 0 for flag in ((), ("--ignore-liveness",))
    )
    what = "what came was removed" if gone else "it could not be removed: run nix-collect-garbage"
    return Finding(Problem(name, f"{why}; {what}", MENDS["rewritten"]) for name, why in sorted(wrong.items()))
