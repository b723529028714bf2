"""What ``nixgen build`` is asked for on its command line, read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from nixgen.cache import keys as keyring
from nixgen.cache import place as places
from nixgen.cache.keys import Keys
from nixgen.cache.narinfo import PublicKey
from nixgen.cache.pinning import text_of
from nixgen.cache.place import Place
from nixgen.console import console
from nixgen.errors import UserError
from nixgen.fleet import engines, model, planning
from nixgen.fleet.collect import Collected
from nixgen.fleet.collect import collect as collected
from nixgen.fleet.collect import missing as unpublished
from nixgen.fleet.engines import Engine
from nixgen.fleet.model import STAGES, Plan
from nixgen.fleet.worker import Share, Shared, Worked, work
from nixgen.init import installsource
from nixgen.log.note import NoteError, Verifier

__all__ = ["Worked", "collect", "engine", "plan", "shard", "share", "shared", "unpublished", "work"]

_MOST = 10_000  # workers


def shard(text: str) -> tuple[int, int]:
    """``3/8``. Raises UserError for what is none."""
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    index, count = map(int, found.groups()) if found else (0, 0)
    if not 1 <= index <= count <= _MOST:
        raise UserError.of("--shard", f"{text!r} is not I/N", f"count from 1: 1/8 to 8/8; at most {_MOST}")
    return index, count


def share(system: str, index: int, count: int, features: Iterable[str], stage: str | None) -> Share:
    """The share of a plan that is meant. Raises UserError for a stage that is none."""
    if stage is not None and stage not in STAGES:
        raise UserError.of("--stage", f"{stage!r} is no stage", f"they are {', '.join(STAGES)}")
    stages = STAGES if stage is None else (stage,)
    return Share(system, index, count, tuple(sorted(set(features))), stages)


def shared(url: str | None, log: str | None, key: str | None, public: Sequence[str], count: int) -> Shared | None:
    """The cache of the fleet; None where none is named. Raises UserError where several workers have none."""
    if url is None:
        if count > 1:
            raise UserError.of("--cache", "is missing: what one worker builds, the others take from there", "name it")
        return None
    trusted = tuple(PublicKey.parse(text_of(text), "--public-key") for text in public)
    return Shared(places.parse(url, log), _keys(key), trusted)


def plan(folders: Sequence[Path] | None, file: Path | None, system: str) -> Plan:
    """The plan, with what is wrong with projects. Raises UserError where none is named well."""
    if file is not None:
        if folders:
            raise UserError.of("--plan", "has its projects, and folders are named, too", "leave one of both out")
        return model.read(file)
    return planning.plan(folders or [Path()], system)


def collect(
    url: str | None, log: str | None, key: str | None, workers: Sequence[str], found: Plan
) -> tuple[Place, Collected]:
    """Logs what workers published. Raises UserError for missing words, and as :func:`collected` does."""
    if url is None:
        raise UserError.of(
            "--cache", "is missing: what is to be logged lies there", "name it: --cache file:///srv/cache"
        )
    keys, place = _keys(key), places.parse(url, log)
    try:
        verifiers = [Verifier.parse(text_of(text)) for text in workers] or [keys.verifier]
    except NoteError as error:
        raise UserError.of("--worker-key", str(error), "it is the line in log.pub") from None
    return place, collected(place, keys, verifiers, found)


def known(name: str, cache: str | None) -> Engine:
    """The engine with this name. Raises UserError where there is none."""
    found = next((one for one in engines.ENGINES if one == name), None)
    if found is None:
        raise UserError.of(
            "--for", f"{name!r} is no engine that nixgen knows", f"they are {', '.join(engines.ENGINES)}"
        )
    if found == "github" and (cache or "").startswith(("/", "file:")):
        console.warn(
            f"--cache: GitHub's own machines share no folder {cache}; name a bucket: --cache s3://BUCKET/PREFIX"
        )
    return found


def engine(name: Engine, found: Plan, folders: Sequence[Path], shards: int, cache: str | None, feature: str) -> str:
    """The file of an engine for a plan; what it leaves out is told."""
    system = found.members[0].system if found.members else ""
    named = [one.folder for one in found.members] if name == "hydra" else [path.as_posix() for path in folders]
    fleet = engines.fleet(named, system, shards, cache, installsource.requirement(), feature)
    for other, count in engines.others(found, feature) if name != "hydra" else ():
        console.info(
            f"Not in it: {count} derivations that need {other}; theirs: nixgen plan --for {name} --feature {other}"
        )
    return engines.render(name, fleet)


def _keys(name: str | None) -> Keys:
    if name is None:
        raise UserError.of(
            "--key", "is missing: receipts are signed", f"{keyring.MAKE} --name fleet-1, then --key fleet-1"
        )
    return keyring.load(name)
