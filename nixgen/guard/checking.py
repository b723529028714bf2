"""The check of trees, in its order: names, the stamp, hashes and Nix; and the same for a program's own models."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from .manifest import find_lock, named, read, select
from .model import Tree
from .report import Found, Refused, Report, Verified
from .scan import Entry, Scan, stores
from .stamp import Stamp


def require(
    *names: str,
    lock: str | os.PathLike[str] | None = None,
    root: str | os.PathLike[str] | None = None,
    stamp: str | os.PathLike[str] | None = None,
    nix: bool = True,
) -> dict[str, Verified]:
    """The named models and data ("minilm", "models.minilm"; none: all), verified, by the names as given.

    ``lock`` is nixgen.lock or JSON as :func:`parse` reads it; without it $NIXGEN_LOCK, then the nearest nixgen.lock
    upwards. ``root`` is the folder that holds them, see :func:`parse`. ``stamp`` is a folder for a stamp; without it
    every file is hashed every time. Raises :class:`Refused` when a file is not the pinned one, :class:`BadInput` when
    what is expected cannot be told: in both cases before anything was loaded.
    """
    trees = select(read(os.fspath(lock) if lock is not None else find_lock(), root), names)
    report = check(trees, stamp=Stamp(os.fspath(stamp)) if stamp is not None else None, nix=nix)
    if not report.ok:
        raise Refused(report)
    plain = [tree.name.partition(".")[2] or tree.name for tree in trees]
    keys = names or [short if plain.count(short) == 1 else t.name for t, short in zip(trees, plain, strict=True)]
    return {key: _verified(next(tree for tree in trees if named(tree, key)), report) for key in keys}


def _verified(tree: Tree, report: Report) -> Verified:
    files = {
        file.path.removeprefix(tree.prefix): report.targets[tree.folder, file.path]
        for file in tree.files
        if file.path.startswith(tree.prefix)
    }
    return Verified(tree.name, tree.folder, files)


def check(trees: Sequence[Tree], *, stamp: Stamp | None = None, nix: bool = True, workers: int | None = None) -> Report:
    """Looks at every file of the trees: the exact set, sizes, SHA-256, and for store paths what Nix knows.

    With a ``stamp`` nothing is hashed when all is as it was at the check that wrote it. ``workers`` files are hashed
    side by side (default: as many as there are processors for this process). Uses 1 MiB for each, whatever the size.
    """
    started, clock = time.perf_counter(), time.time_ns()
    store = stores()
    findings: list[Found] = []
    entries: list[Entry] = []
    for tree in trees:
        scan = Scan(tree, store)
        scan.run()
        findings += scan.findings
        entries += scan.entries
    targets = {(entry.tree.folder, entry.file.path): entry.target for entry in entries}
    said = "not used"
    if stamp is not None and not findings:
        said = stamp.why_stale(trees, entries, nix=nix)
        if not said:
            return Report(tuple(trees), (), targets, 0, time.perf_counter() - started, "fresh", "not asked")
    # Behind a fresh stamp none of these is needed, nor threads.
    from .hashing import Pool, processors
    from .store import Background, ask_nix
    from .writeback import Writeback

    asked = Background(lambda: ask_nix(trees, entries, store)) if nix else None
    pool = Pool(entries, Writeback() if stamp is not None else None)
    pool.run(workers or processors())
    findings += pool.findings
    knows = "not asked"
    if asked is not None:
        knows, problems = asked.result()
        findings += problems
    if stamp is not None:
        said = f"not written: {pool.unsettled}" if pool.unsettled else "not written"
        if not findings and not pool.unsettled:
            said = stamp.write(trees, pool.identities, clock, nix=nix)
    took = time.perf_counter() - started
    return Report(tuple(trees), tuple(sorted(set(findings))), targets, pool.hashed, took, said, knows)
