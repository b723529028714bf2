"""``nixgen cache push``: publishes what is on the disk when it is what was built, and logs it before it is there.

The order is what makes it safe to be interrupted: bytes are hashed, the cache and its log are asked, then the log is
added to, then Nix uploads, then nixgen.lock notes the checkpoint. What is logged and did not arrive counts as
collected, and the next push brings it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nixgen import console
from nixgen.cache import contents, copying
from nixgen.cache.anomalies import Held
from nixgen.cache.contents import Contents
from nixgen.cache.entry import Entry
from nixgen.cache.keys import Keys
from nixgen.cache.narinfo import NarInfo, base
from nixgen.cache.place import Place
from nixgen.cache.verify import MENDS
from nixgen.check import closure
from nixgen.check.model import ClosurePath
from nixgen.errors import Finding, MachineError, Problem, UserError
from nixgen.log.append import append
from nixgen.log.checkpoint import Checkpoint
from nixgen.log.log import Log
from nixgen.log.seen import Seen
from nixgen.log.stores.opening import open_storage
from nixgen.nix.tools import Nix, PathInfo


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did: paths that it brought, that were there, that got a signature; how many entries the log got."""

    checkpoint: Checkpoint
    published: tuple[str, ...]
    there: tuple[str, ...]
    signed: tuple[str, ...]
    logged: int


def push(
    place: Place,
    keys: Keys,
    outputs: Sequence[str],
    recorded: Mapping[str, ClosurePath],
    known: Checkpoint | None = None,
) -> Pushed:
    """Publishes store paths with all that they refer to. ``known`` is the checkpoint that the log must go on from.

    Raises UserError for a path that is not built, Finding (and publishes nothing) for one whose bytes are not those
    that Nix noted or the record has, one that the cache has with other content, or one that the log has otherwise.
    """
    nix = Nix.here()
    log = Log.open(open_storage(place.log), keys.verifier, known)  # first of all: a folder may not be mounted
    said = Seen.of(log, Entry)
    said.update(log)
    infos = nix.closure(_built(nix, outputs))
    disk = on_disk(nix, infos, recorded)
    cache = contents.open_contents(place)
    if place.scheme == "file":
        copying.reach(cache.nix, place)  # makes the folder, or says why not, before anything is logged
    with console.step(f"asking {place.url} for {len(disk)} paths"):
        there = asked(place, cache, keys, disk)
    entries = logged(nix, infos)
    with console.step(f"logging {len(entries)} paths"):
        _, conflicts = said.select(entries)
        if conflicts:
            names = {entry.path for entry in conflicts}
            append(log, [entry for entry in entries if entry.path in names], keys.signer, said)
            raise contradiction(place, conflicts)
        done = append(log, entries, keys.signer, said)
        said.update(log)  # so that this machine remembers what it has just added
    if done.conflicts:
        raise contradiction(place, done.conflicts)
    for info in there.lost:
        cache.forget(info)
    fresh = sorted(set(disk) - set(there.names))
    copying.sign(cache.nix, there.unsigned, keys.secret)
    if not place.of_files:
        copying.sign(nix, fresh, keys.secret)
    copying.copy_to(nix, place, fresh, keys.secret, keys.public)
    return Pushed(done.checkpoint, tuple(fresh), there.names, there.unsigned, len(done.added))


def _built(nix: Nix, outputs: Sequence[str]) -> list[str]:
    valid = nix.infos(outputs)
    missing = [path for path in outputs if path not in valid]
    if missing:
        raise UserError(Problem(base(path), "is not built here", "build it: nixgen check") for path in missing)
    return list(outputs)


def on_disk(nix: Nix, infos: Mapping[str, PathInfo], recorded: Mapping[str, ClosurePath]) -> dict[str, ClosurePath]:
    """Each path as its bytes are now, by name. Raises Finding for all that Nix or the record have otherwise."""
    found = closure.on_disk(nix, infos)
    problems = []
    for path, info in infos.items():
        name = base(path)
        now = found.get(name)
        if now is None:
            mend = f"bring it back: nix-store --repair-path {path}"
            problems.append(Problem(name, "is gone from the disk, so nothing was published", mend))
        elif (now.nar_hash, now.nar_size) != (info.nar_hash, info.nar_size):
            hashes = f"NAR hash {now.nar_hash}, and Nix noted {info.nar_hash}"
            mend = f"repair it: nix-store --repair-path {path}"
            problems.append(Problem(name, f"is damaged on the disk, so nothing was published: {hashes}", mend))
        elif name in recorded and now != recorded[name]:
            hashes = f"NAR hash {now.nar_hash}, the record has {recorded[name].nar_hash}"
            mend = "see what differs: nixgen check"
            problems.append(Problem(name, f"is not what the record has, so nothing was published: {hashes}", mend))
    if problems:
        raise Finding(sorted(problems))
    return found


@dataclass(frozen=True, slots=True)
class There:
    """What of a push the cache has: the paths, those of them that lack this key's signature, narinfos without a NAR."""

    names: tuple[str, ...]
    unsigned: tuple[str, ...]
    lost: tuple[NarInfo, ...]


def asked(place: Place, cache: Contents, keys: Keys, disk: Mapping[str, ClosurePath]) -> There:
    """What the cache has. Raises Finding where it has something else: what is published is never replaced."""
    names, unsigned, lost, problems = [], [], [], []
    mend = f"find out which of them is right: nixgen cache verify {place.url}"

    def whether_lost(item: Held) -> tuple[Held, bool]:
        return item, item.info is not None and cache.lost(item.info)

    for item, gone in contents.ahead(whether_lost, cache.look(sorted(disk)), 16):
        info, ours = item.info, disk[item.name]
        if item.unread:
            raise MachineError.of(item.name, f"cannot be asked for: {item.unread}", MENDS["unread"])
        if item.why:
            what = f"is in the cache with a narinfo that {item.why}, and is not replaced"
            problems.append(Problem(item.name, what, mend))
        elif info is None:
            continue
        elif (info.nar_hash, info.nar_size, info.references) != (ours.nar_hash, ours.nar_size, ours.references):
            hashes = f"NAR hash {info.nar_hash}, here it is {ours.nar_hash}"
            what = f"is in the cache with other content, and is not replaced: {hashes}"
            problems.append(Problem(item.name, what, mend))
        elif gone:
            lost.append(info)
        else:
            names.append(item.name)
            if not keys.public.signed(info):
                unsigned.append(item.name)
    if problems:
        raise Finding(problems)
    return There(tuple(names), tuple(unsigned), tuple(lost))


def contradiction(place: Place, conflicts: Iterable[Entry]) -> Finding:
    """The error for content that the log has otherwise."""
    what = "was logged with other content, so nothing was published; what is here was logged as a second one"
    mend = f"find out which build differs: nixgen cache verify {place.url}, nixgen check --rebuild"
    return Finding(Problem(entry.path, f"{what}: NAR hash {entry.nar_hash}", mend) for entry in conflicts)


def logged(nix: Nix, infos: Mapping[str, PathInfo]) -> list[Entry]:
    """What the log is to say of the paths, sorted.

    The derivation is named where it is known and built the path. One that fetched fixed content is not: any other may
    have fetched the same.
    """
    derivers = [info.deriver for info in infos.values() if info.deriver]
    drvs = nix.drvs_show(nix.infos(derivers))
    entries = []
    for path, info in sorted(infos.items()):
        drv = drvs.get(info.deriver or "")
        outputs = drv.outputs if drv is not None and drv.fixed is None else {}
        output = next((name for name, item in outputs.items() if item.path == path), None)
        entries.append(
            Entry(
                path=base(path),
                nar_hash=info.nar_hash,
                nar_size=info.nar_size,
                references=tuple(sorted(map(base, info.references))),
                drv=base(info.deriver) if info.deriver and output else None,
                output=output,
            )
        )
    return entries
