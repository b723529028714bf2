"""The step "bytes": the closure as it is on the disk, against Nix's database and the record."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from nixgen.check.compare import in_order, size
from nixgen.check.model import ClosurePath, Difference, Step, SystemRecord
from nixgen.check.report import messages
from nixgen.errors import Finding, MachineError, NixgenError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from nixgen.nix.tools import Nix, PathInfo

_STORE = "name it: nixgen check --store ADDRESS; Nix's own word: nix config show store"
_REPAIR = "have Nix look at its whole store: nix-store --verify --check-contents"


def name_of(path: str) -> str:
    """The name of a store path: "<hash>-<name>"."""
    return PurePosixPath(path).name


def noted(infos: Iterable[PathInfo]) -> dict[str, ClosurePath]:
    """A closure as Nix's database has it."""
    found = {}
    for info in infos:
        name = name_of(info.path)
        found[name] = ClosurePath(name, info.nar_hash, info.nar_size, tuple(sorted(map(name_of, info.references))))
    return dict(sorted(found.items()))


def on_disk(nix: Nix, infos: Mapping[str, PathInfo]) -> dict[str, ClosurePath]:
    """The same with hashes and sizes of what is on the disk now; what is not there is left out.

    Raises MachineError for what cannot be read.
    """
    from nixgen.nix.hashing import hash_paths
    from nixgen.nix.log import State
    from nixgen.nix.progress import shown

    show = shown("hashing")
    places: dict[str, Path] = {}
    found: dict[str, tuple[str, int]] = {}
    for path in infos:
        place = nix.physical(path)
        if place is None:
            found[path] = _streamed(nix, path)
        else:
            places[path] = place
    sizes = {path: infos[path].nar_size for path in places}
    try:
        found |= hash_paths(places, sizes, lambda done, total: show(State(done_bytes=done, expected_bytes=total)))
    finally:
        show(State(ended=True))
    places_of = {name_of(path): path for path in found}
    return {
        name: ClosurePath(name, *found[places_of[name]], references=path.references)
        for name, path in noted(infos.values()).items()
        if name in places_of
    }


def explained(
    explain: Callable[[], tuple[Difference, ...]],
    expected: Mapping[str, ClosurePath],
    disk: Mapping[str, ClosurePath],
    database: Mapping[str, ClosurePath],
) -> tuple[Difference, ...]:
    """What ``explain`` says of the paths that differ; the hashes alone where it cannot do its work."""
    try:
        return explain()
    except NixgenError as error:
        said = f"why could not be found out: {error.problems[0].what}"
        return tuple(
            Difference(name, expected[name].nar_hash, disk[name].nar_hash, database[name].nar_hash, said)
            for name in in_order(disk)
            if disk[name] != expected[name]
        )


def bytes_step(
    recorded: SystemRecord | None,
    database: Mapping[str, ClosurePath],
    disk: Mapping[str, ClosurePath],
    explain: Callable[[Mapping[str, ClosurePath]], tuple[Difference, ...]],
    *,
    same_recipe: bool,
    where: str,
) -> Step:
    """Compares what is on the disk with what is expected of each path: the record's word, else the database's.

    ``explain`` is asked only when something differs, with what is expected; ``where`` is the record's name.
    """
    known = recorded.closure if recorded is not None else {}
    expected = {name: known.get(name, database[name]) for name in disk}
    wrong = [name for name in in_order(disk) if disk[name] != expected[name]]
    problems = [
        Problem(
            name, f"is {disk[name].nar_hash} on the disk, and Nix's database says {database[name].nar_hash}", _REPAIR
        )
        for name in in_order(disk)
        if disk[name] == expected[name] and database[name].nar_hash != disk[name].nar_hash
    ]
    lost = sorted(database.keys() - disk.keys())
    if lost and not disk:
        told = f"none of {messages.count(len(lost), 'path')} is where this store should lie: nothing was compared"
        return Step("bytes", None, told, MachineError.exit_code, (Problem("", "where does the store lie?", _STORE),))
    problems += [Problem(name, "is not on the disk, and Nix's database has it", _REPAIR) for name in lost]
    gone = sorted(known.keys() - database.keys()) if same_recipe else []
    new = sorted(disk.keys() - known.keys()) if same_recipe and known else []
    problems += [Problem(name, "is in the record's closure, and not in the one here") for name in gone]
    problems += [Problem(name, "is in the closure here, and not in the record's") for name in new]
    if wrong or problems:
        first = (wrong or [problem.where for problem in problems])[0]
        told = messages.bytes_differ(len(wrong) + len(problems), len(database) + len(gone), first)
        differences = explained(lambda: explain(expected), expected, disk, database) if wrong else ()
        return Step("bytes", False, told, Finding.exit_code, tuple(problems), differences=differences)
    if recorded is None:
        return Step("bytes", True, messages.bytes_alone(len(disk), size(disk)))
    if same_recipe:
        return Step("bytes", True, messages.bytes_same(len(disk), size(disk), where))
    shared = len(disk.keys() & known.keys())
    if not shared:
        told = f"none of {messages.count(len(disk), 'path')} is in the record"
        return Step("bytes", None, told, MachineError.exit_code, messages.nothing_compared(where))
    return Step("bytes", None, messages.bytes_partly(shared, len(disk)))


def _streamed(nix: Nix, path: str) -> tuple[str, int]:
    """The NAR hash and size of what a store elsewhere hands out."""
    state, length = hashlib.sha256(), 0
    for chunk in nix.dump(path):
        state.update(chunk)
        length += len(chunk)
    return "sha256-" + base64.b64encode(state.digest()).decode("ascii"), length
