"""Which paths of two closures differ, and why: the other bytes are had from elsewhere or built again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from nixgen.check.compare import in_order
from nixgen.check.explain import diffoscope
from nixgen.check.explain.pair import all_causes, explained
from nixgen.check.model import ClosurePath, Difference, FileDifference
from nixgen.check.second import Second
from nixgen.machine import process

if TYPE_CHECKING:
    from nixgen.nix.tools import Nix, PathInfo

EXPLAINED = 3
"""For how many paths of a closure the other bytes are looked for. The first is the one that matters."""

DISK = "the disk changed after the build: Nix's database still has the expected hash"
HERE = "built or fetched here with different bytes: disk and database agree"
ALL = "the expected hash, Nix's database and the disk are three different ones"
REFERENCES = "the same bytes, but different references"


def differences(
    nix: Nix,
    expected: Mapping[str, ClosurePath],
    found: Mapping[str, ClosurePath],
    infos: Mapping[str, PathInfo],
    copy: Nix | None = None,
) -> tuple[Difference, ...]:
    """The paths of both closures (by name) whose hash, size or references differ, in dependency order.

    ``expected`` is the record's closure, ``found`` what the disk has now, ``infos`` (by full path) what Nix's database
    says. Where the other bytes can be had (from ``copy``, a substituter, or by building in a scratch store), the files
    that differ are named; the store itself is not changed. Paths that only one side has are not in the answer: their
    recipe is another one.
    """
    known = {PurePosixPath(path).name: info for path, info in infos.items()}
    told: list[Difference] = []
    with Second.open(nix, copy) as second:
        for name in in_order(found):
            if name in expected and name in known and expected[name] != found[name]:
                looked_for = len(told) < EXPLAINED
                told.append(_one(nix, expected[name], found[name], known[name], second if looked_for else None))
    return tuple(told)


def _one(nix: Nix, expected: ClosurePath, found: ClosurePath, info: PathInfo, second: Second | None) -> Difference:
    files: tuple[FileDifference, ...] = ()
    report, note = None, ""
    if second is not None and expected.nar_hash != found.nar_hash:
        other = second.bytes(info, expected.nar_hash, found.nar_hash)
        note = other.note
        place = nix.physical(info.path)
        files = other.files
        if other.path is not None and place is not None:
            files = explained(other.path, place)
            report = diffoscope.report(other.path, place)
    said = _where(expected, found, info)
    return Difference(
        path=found.name,
        expected=expected.nar_hash,
        found=found.nar_hash,
        database=info.nar_hash,
        said=f"{said}; {note}" if note else said,
        files=files,
        causes=all_causes(files),
        repeat=_hash_command(nix, info.path),
        diffoscope=report,
    )


def _where(expected: ClosurePath, found: ClosurePath, info: PathInfo) -> str:
    if expected.nar_hash == found.nar_hash:
        return REFERENCES
    if info.nar_hash == expected.nar_hash:
        return DISK
    return HERE if info.nar_hash == found.nar_hash else ALL


def _hash_command(nix: Nix, path: str) -> str:
    """What shows the hash of the bytes on the disk, and the one that Nix's database has."""
    place = nix.physical(path)
    shows = ["nix", "--extra-experimental-features", "nix-command", "hash", "path", str(place or path)]
    return f"{process.shown(shows)}; {process.shown(nix.command('nix-store', '--query', '--hash', path))}"
