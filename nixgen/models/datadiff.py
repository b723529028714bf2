"""What ``nixgen data diff OLD NEW`` does: finds the two snapshots, reads what has to be read, and compares."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from nixgen.artifacts.model import PinnedArtifact
from nixgen.artifacts.store import Folder, Holder, Store, cache_folder, store_name
from nixgen.data import snapshot as snapshots
from nixgen.data.diff import DataDiff, diff
from nixgen.data.formats import format_of
from nixgen.data.manifest import content_hash
from nixgen.data.snapshot import DataFile, Snapshot
from nixgen.errors import UserError
from nixgen.lock.lockfile import NAME, parse_lock, read_lock
from nixgen.machine.process import run
from nixgen.project.project import Project


@dataclass(frozen=True, slots=True)
class _Side:
    """A snapshot, and its files; None when they are not on this machine, and then ``note`` says so."""

    snapshot: Snapshot
    files: Mapping[str, Path] | None
    note: str = ""


def diff_command(old: str, new: str, project: Project | None, holder: Holder | None = None) -> DataDiff:
    """What differs between two snapshots. Each is a folder, a file, or a dataset of nixgen.lock.

    A dataset is ``NAME`` or ``data.NAME``, with ``@REVISION`` as nixgen.lock had it at this revision of git; a path
    that exists wins over a name. Its files are looked for in the project and in ``holder`` (None: the machine's), and
    used when they still are what was pinned. Where one is not here, what nixgen.lock says is compared, and a note says
    so; nothing is fetched. When both sides have the same content, no statistics are made.

    Raises UserError for a name that is nothing and for files that cannot be read, MachineError without pyarrow.
    """
    return _diff(*(_side(text, project, holder) for text in (old, new)))


def diff_pinned(
    old: PinnedArtifact, new: PinnedArtifact, names: tuple[str, str], project: Project, holder: Holder | None = None
) -> DataDiff:
    """The same of two datasets that a nixgen.lock pins, or pinned; ``names`` is what they are called."""
    return _diff(*(_held(one, name, project, holder) for one, name in zip((old, new), names, strict=True)))


def _diff(first: _Side, second: _Side) -> DataDiff:
    same = first.snapshot.content_hash == second.snapshot.content_hash
    if same and first.snapshot.format == second.snapshot.format:
        lies = next((side for side in (first, second) if side.files is not None), first)
        known = snapshots.read(lies.snapshot, lies.files or {}, statistics=False) if lies.files else lies.snapshot
        return diff(replace(known, name=first.snapshot.name), replace(known, name=second.snapshot.name))
    notes = tuple(side.note for side in (first, second) if side.note)
    sides = [
        side.snapshot if side.files is None else snapshots.read(side.snapshot, side.files, statistics=not notes)
        for side in (first, second)
    ]
    return diff(sides[0], sides[1], notes)


def _side(text: str, project: Project | None, holder: Holder | None) -> _Side:
    path = Path(text)
    if path.exists():
        return _Side(*snapshots.of_path(path, text))
    name, _, revision = text.removeprefix("data.").partition("@")
    if project is None or "/" in name or not name:
        raise UserError.of(text, "is not there", f"name a folder, a file, or a dataset of {NAME}")
    return _held(pinned(name, revision, project), text, project, holder)


def _held(artifact: PinnedArtifact, text: str, project: Project, holder: Holder | None) -> _Side:
    """A pinned dataset with its files, where they are on this machine and as they were pinned."""
    holder = holder or Store.here() or Folder(cache_folder() / "files")
    held = holder.find((store_name(file.path), file.sha256) for file in artifact.files)
    found: dict[str, Path] = {}
    for file in artifact.files:
        places = [held.get((store_name(file.path), file.sha256)), file.local and project.path(file.local)]
        for place in places:
            if place and file.path not in found and _is(place, file.size, file.sha256):
                found[file.path] = place
    snapshot = _pinned_snapshot(artifact, text)
    lacking = [file.path for file in snapshot.files if file.path not in found]
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        note = f"{text}: {lacking[0]}{more} not on this machine as pinned; columns are not compared"
        return _Side(snapshot, None, f"{note} (get them: nixgen data fetch {artifact.name})")
    return _Side(snapshot, found)


def _pinned_snapshot(artifact: PinnedArtifact, name: str) -> Snapshot:
    """What nixgen.lock says of a dataset: no columns, as no file is read."""
    files = tuple(sorted(DataFile(file.path, file.size, file.sha256) for file in artifact.files))
    data = artifact.data
    format_name = artifact.format or format_of([file.path for file in files], artifact.key)
    content = data.content_hash if data else content_hash((file.path, file.size, file.sha256) for file in files)
    return Snapshot(
        name, format_name, files, content, data.record_count if data else None, data.schema_hash if data else None
    )


def pinned(name: str, revision: str, project: Project) -> PinnedArtifact:
    """A dataset as nixgen.lock pins it, at a revision of git ("": as it is now). Raises UserError."""
    if revision:
        shown = run(["git", "show", f"{revision}:./{NAME}"], cwd=project.root, check=False)
        if shown.code:
            words = (shown.err.strip().splitlines() or ["git said nothing"])[-1]
            raise UserError.of(f"{name}@{revision}", f"has no {NAME} there: {words}", "see: git log -- " + NAME)
        lock = parse_lock(shown.out)
    else:
        lock = read_lock(project.path(NAME), project.pin_again)
    data = {artifact.name: artifact for artifact in lock.artifacts if artifact.kind == "data"}
    if name not in data:
        near = difflib.get_close_matches(name, data, n=1)
        known = f"it has {', '.join(sorted(data))}" if data else "it has none"
        mend = f"did you mean {near[0]}? {known}" if near else known
        raise UserError.of(name, f"is neither a path nor a dataset of {NAME}", mend)
    return data[name]


def _is(file: Path, size: int, sha256: str) -> bool:
    """Whether this file is the pinned one."""
    try:
        if file.stat().st_size != size:
            return False
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == sha256
    except OSError:
        return False
