"""``nixgen build``: one worker's share of a plan, built here; what others built is taken from the cache.

A path is hashed, then its receipt is left, then it is uploaded. Whoever is killed in between loses nothing but time:
the next run sees what is in the cache, and does the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from nixgen.cache import contents, copying
from nixgen.cache.contents import Contents
from nixgen.cache.keys import Keys
from nixgen.cache.narinfo import NarInfo, PublicKey, whole
from nixgen.cache.place import Place
from nixgen.cache.push import asked, logged, on_disk
from nixgen.check import closure, record
from nixgen.check.compare import in_order
from nixgen.check.model import ClosurePath
from nixgen.console import console
from nixgen.errors import Finding, NixgenError, Stale
from nixgen.fleet.model import STAGES, Member, Plan, Stage, Unit
from nixgen.fleet.planning import evaluated
from nixgen.fleet.receipts import Receipts
from nixgen.fleet.sharding import shards
from nixgen.nix.progress import shown
from nixgen.nix.tools import Nix

_BATCH = 32  # units that are built, then published together: so much is lost at most when a worker is killed
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0  # seconds between two looks at what others have done


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of a plan: shard ``index`` of ``count``, from 1 on, on machines that have just these ``features``."""

    system: str
    index: int = 1
    count: int = 1
    features: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = STAGES

    def units(self, plan: Plan) -> list[Unit]:
        """The units of this share, what is built first first."""
        some = [one for one in plan.units.values() if (one.system, one.features) == (self.system, self.features)]
        where = shards(some, self.count)
        mine = [one for one in some if where[one.name] == self.index - 1 and one.stage in self.stages]
        return sorted(mine, key=lambda one: (STAGES.index(one.stage), -one.cost, one.name))


@dataclass(frozen=True, slots=True)
class Shared:
    """The cache that a fleet shares, the worker's keys, and further keys whose paths are taken from it."""

    place: Place
    keys: Keys
    trusted: tuple[PublicKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Worked:
    """What a worker did: units that were in the cache, that it built; paths that it published, and took from others.

    ``errors`` are all that went wrong, after which it went on with the rest.
    """

    there: int = 0
    built: int = 0
    published: int = 0
    taken: int = 0
    errors: tuple[NixgenError, ...] = ()

    def error(self) -> NixgenError | None:
        """All of it at once, of the gravest kind: other bytes before all else, then what cannot be built."""
        kinds = {type(error) for error in self.errors}
        kind = min(kinds, key=lambda kind: (kind is not Finding, -kind.exit_code), default=None)
        problems = dict.fromkeys(problem for error in self.errors for problem in error.problems)
        return kind(problems) if kind is not None else None


def work(plan: Plan, share: Share, shared: Shared | None, patience: float) -> Worked:
    """Builds a share of the plan and publishes it, where there is a cache.

    ``patience`` is how many seconds nothing has to come from others before what they were to build is built here.
    What is wrong with projects and builds is in what it gives: BuildFailed; Finding for bytes that are not those that
    were published or recorded, which are not published; Stale where the files here are others than those of the plan.
    """
    nix = Nix.here()
    with ExitStack() as stack:
        worker = _Worker(nix, plan, share, patience, stack.enter_context(nix.roots()), _Cache.of(nix, shared))
        for stage in share.stages:
            worker.stage([unit for unit in worker.mine.values() if unit.stage == stage])
    return worker.done()


@dataclass(slots=True)
class _Worker:
    nix: Nix
    plan: Plan
    share: Share
    patience: float
    keep: Path
    cache: _Cache | None
    mine: dict[str, Unit] = field(default_factory=dict)
    errors: list[NixgenError] = field(default_factory=list)
    there: int = 0
    built: int = 0
    members: dict[str, list[Member]] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    drvs: set[str] = field(default_factory=set)
    tried: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.mine = {unit.name: unit for unit in self.share.units(self.plan)}
        for member in self.plan.members:
            for name in (*member.base, *member.wheels, member.root):
                self.members.setdefault(name, []).append(member)

    def done(self) -> Worked:
        cache = self.cache
        moved = (cache.published, cache.taken) if cache else (0, 0)
        return Worked(self.there, self.built, *moved, (*self.plan.errors, *self.errors))

    def stage(self, units: Sequence[Unit]) -> None:
        """Builds units of one stage, those first whose needs are there."""
        present = self.cache.have([unit.name for unit in units]) if self.cache else set()
        self.there += len(present)
        left = [unit for unit in units if unit.name not in present]
        waited = _Patience(self.patience)
        while left:
            lacking = self._lacking(left, waited)
            ready = [unit for unit in left if not lacking & self._needs(unit)]
            if not ready and not waited.over():
                if not self._ahead():
                    waited.pause(len(lacking))
                continue
            some = (ready or left)[:_BATCH]
            try:
                self._batch(some)
            except NixgenError as error:
                self.errors.append(error)
            names = {unit.name for unit in some}
            left = [unit for unit in left if unit.name not in names]

    def _ahead(self) -> bool:
        """Does what can be done while others are waited for: some of the .drv files. Whether there was anything."""
        some = [unit for unit in self.mine.values() if unit.name not in self.tried][:_BATCH]
        self.tried.update(unit.name for unit in some)
        self._write(some)
        return bool(some)

    def _needs(self, unit: Unit) -> set[str]:
        """What of earlier stages a unit is built from, as the plan says."""
        member = self.members[unit.name][0]
        return {"base": set[str](), "wheels": set(member.base), "environments": {*member.base, *member.wheels}}[
            unit.stage
        ]

    def _lacking(self, units: Iterable[Unit], waited: _Patience) -> set[str]:
        """What others are to build, and is neither in the cache nor here."""
        if self.cache is None or waited.over():
            return set()
        needed = {name for unit in units for name in self._needs(unit)}
        needed -= self.cache.known | self.mine.keys()
        here = self.nix.infos(map(whole, needed)) if needed else {}
        lacking = {name for name in needed if whole(name) not in here}
        found = self.cache.have(lacking)
        waited.came(len(lacking - found))
        return lacking - found

    def _batch(self, units: Sequence[Unit]) -> None:
        if self.cache is not None:
            self.cache.take(set[str]().union(*map(self._needs, units)))
        self._write(units)
        units = [unit for unit in units if unit.drv in self.drvs]
        if not units:
            return
        failed: NixgenError | None = None
        try:
            drvs = [whole(unit.drv) for unit in units]
            self.nix.realise(drvs, shown(f"building {units[0].stage}"), self.keep)
        except NixgenError as error:
            failed = error
        valid = self.nix.infos(whole(unit.name) for unit in units)
        self.built += len(valid)
        if self.cache is not None and valid:
            self._publish(self.cache, list(valid), self._recorded(units))
        if failed is not None:
            raise failed

    def _publish(self, cache: _Cache, outs: Sequence[str], recorded: Mapping[str, ClosurePath]) -> None:
        """Publishes what was built: all at once, or, where some of it may not be, one by one all that may."""
        try:
            cache.publish(outs, recorded)
        except Finding as error:
            if len(outs) == 1:
                self.errors.append(error)
                return
            for out in outs:
                self._publish(cache, [out], recorded)

    def _write(self, units: Sequence[Unit]) -> None:
        """Has Nix write the units' .drv files: of few projects. What is wrong with one of these is noted."""
        folders: set[str] = set()
        for unit in units:
            having = {member.folder for member in self.members[unit.name]}
            if unit.drv not in self.drvs and not having & folders:
                folders.add(min(having))
        for told in evaluated(self.nix, sorted(folders - self.folders), self.share.system, write=True).values():
            if isinstance(told, NixgenError):
                self.errors.append(told)
            else:
                self.drvs |= {str(one["drv"]).rpartition("/")[2] for one in told["recipes"].values()}
        self.folders |= folders
        for unit in units:
            folder = min(member.folder for member in self.members[unit.name])
            if unit.drv not in self.drvs and not any(
                folder == one.problems[0].where.partition(":")[0] for one in self.errors
            ):
                what = f"{unit.name.partition('-')[2]} is not what the plan was made from: other files lie here"
                self.errors.append(Stale.of(folder, what, "make the plan of these files: nixgen plan --json"))

    def _recorded(self, units: Iterable[Unit]) -> Mapping[str, ClosurePath]:
        """What the records of the projects say of the units' closures."""
        found: dict[str, ClosurePath] = {}
        for folder in {self.members[unit.name][0].folder for unit in units}:
            noted = record.read_record(Path(folder, record.NAME), f"{folder}/{record.NAME}")
            if noted is not None and self.share.system in noted.systems:
                found |= noted.systems[self.share.system].closure
        return found


@dataclass(slots=True)
class _Patience:
    """How long to wait for others: as long as something comes from them now and then."""

    seconds: float
    now: Callable[[], float] = time.monotonic
    since: float | None = None
    least: int | None = None
    next: float = _FIRST_PAUSE
    told: bool = False

    def came(self, lacking: int) -> None:
        """So much is lacking now."""
        if self.least is None or lacking < self.least:
            self.least, self.since, self.next = lacking, self.now(), _FIRST_PAUSE

    def over(self) -> bool:
        return self.since is not None and self.now() - self.since >= self.seconds

    def pause(self, lacking: int) -> None:
        if not self.told:
            console.info(f"Waiting for {lacking} paths that other workers build.")
            self.told = True
        left = self.seconds - (self.now() - (self.since or self.now()))
        time.sleep(max(0.0, min(self.next, left)))
        self.next = min(2 * self.next, _LONGEST_PAUSE)


@dataclass(slots=True)
class _Cache:
    """The shared cache, as a worker uses it. ``known`` are paths that it has with all that they refer to."""

    nix: Nix
    place: Place
    keys: Keys
    trusted: tuple[PublicKey, ...]
    contents: Contents
    receipts: Receipts
    known: set[str] = field(default_factory=set)
    published: int = 0
    taken: int = 0

    @classmethod
    def of(cls, nix: Nix, shared: Shared | None) -> _Cache | None:
        if shared is None:
            return None
        place, keys = shared.place, shared.keys
        receipts = Receipts.of(place, [keys.verifier])
        found = contents.open_contents(place)
        if place.scheme == "file":
            copying.reach(found.nix, place)  # makes the folder, or says why not
        return cls(nix, place, keys, (keys.public, *shared.trusted), found, receipts)

    def have(self, names: Iterable[str]) -> set[str]:
        """Those of the paths that the cache has, signed by a key that counts. A path is uploaded after its own."""
        found = {info.name for info in self._infos(sorted(set(names) - self.known))}
        self.known |= found
        return {*names} & self.known

    def _infos(self, names: Sequence[str]) -> Iterator[NarInfo]:
        for item in self.contents.look(names):
            info = item.info
            if info is not None and any(key.signed(info) for key in self.trusted) and not self.contents.lost(info):
                yield info

    def take(self, names: Iterable[str]) -> None:
        """Copies paths that the cache has, with all that they refer to. What it lacks is built here."""
        found: dict[str, ClosurePath] = {}
        here = self.nix.infos(map(whole, names))
        front = [name for name in names if whole(name) not in here]
        while front:
            infos = list(self._infos(sorted(front)))
            found |= {one.name: ClosurePath(one.name, one.nar_hash, one.nar_size, one.references) for one in infos}
            more = {name for info in infos for name in info.references} - found.keys()
            here |= self.nix.infos(map(whole, more)) if more else {}
            front = [name for name in more if whole(name) not in here]
        whole_ones = _complete(found, here)
        if whole_ones:
            copying.copy_from(self.nix, self.place, in_order(whole_ones), self.trusted)
            self.taken += len(whole_ones)

    def publish(self, outs: Sequence[str], recorded: Mapping[str, ClosurePath]) -> None:
        """Publishes paths with all that they refer to. Raises Finding, and publishes none, where bytes are others."""
        infos = self.nix.closure(outs)
        noted = closure.noted(infos.values())
        there = asked(self.place, self.contents, self.keys, {n: one for n, one in noted.items() if n not in self.known})
        fresh = [name for name in noted if name not in self.known and name not in there.names]
        new = {whole(name): infos[whole(name)] for name in fresh}
        on_disk(self.nix, new, recorded)
        problems = self.receipts.claim(logged(self.nix, new), self.keys.signer)
        if problems:
            raise Finding(sorted(problems))
        for info in there.lost:
            self.contents.forget(info)
        if fresh:
            if not self.place.of_files:
                copying.sign(self.nix, fresh, self.keys.secret)
            copying.copy_to(self.nix, self.place, fresh, self.keys.secret, self.keys.public)
        self.known |= noted.keys()
        self.published += len(fresh)


def _complete(found: Mapping[str, ClosurePath], here: Iterable[str]) -> dict[str, ClosurePath]:
    """Those paths of which all that they refer to can be had."""
    kept, present = dict(found), {path.rpartition("/")[2] for path in here}
    while broken := [n for n, one in kept.items() if not {*one.references} - {n} <= kept.keys() | present]:
        for name in broken:
            del kept[name]
    return kept
