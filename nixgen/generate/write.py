"""What ``nixgen generate`` changes on disk, and what ``generate --check`` finds there."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nixgen.bases import choice
from nixgen.console import console
from nixgen.errors import Finding, Problem, UserError
from nixgen.generate import flakelock, flakenix, gitindex, planning
from nixgen.machine import backup, files, git
from nixgen.nix import vendored
from nixgen.project.project import find_project

if TYPE_CHECKING:
    from nixgen.project.project import Project

COMMAND = "nixgen generate"
"""What writes them, where only they are to be written."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What generate would do: ``files`` to be on disk, ``remove`` of its own, and ``foreign`` files in its way.

    ``foreign`` were not written by nixgen; it would have to overwrite or remove them.
    """

    files: dict[str, bytes]
    remove: tuple[str, ...]
    foreign: tuple[str, ...]


def changes(root: Path, wanted: dict[str, bytes]) -> Changes:
    """What stands between the project on disk and ``wanted``."""
    ours = vendored.ours(root)
    in_folder = vendored.present(root)
    foreign = {name for name in in_folder - ours if files.read(root, name) != wanted.get(name)}
    default = files.read(root, planning.DEFAULT)
    if default is not None and default != wanted.get(planning.DEFAULT) and not files.written_by_nixgen(default):
        foreign.add(planning.DEFAULT)
    return Changes(wanted, tuple(sorted((in_folder & ours) - wanted.keys())), tuple(sorted(foreign)))


def check(root: Path, wanted: dict[str, bytes]) -> None:
    """Raises Finding, naming each stale, missing or extra file, unless the project on disk is what is ``wanted``."""
    found = changes(root, wanted)
    problems = [Problem(path, "is extra: nixgen would not write it") for path in found.remove]
    strange = "is extra: nixgen did not write it, and the folder is nixgen's"
    problems += [Problem(path, strange) for path in found.foreign if path not in wanted]
    for path, data in wanted.items():
        old = files.read(root, path)
        if old is None:
            problems.append(Problem(path, "is missing"))
        elif old != data:
            moved = flakelock.moved(old, data) if path == flakelock.NAME else ""
            problems.append(Problem(path, moved or "is stale: nixgen would write something else"))
        elif (root / path).stat().st_mode & 0o111:
            problems.append(Problem(path, "is stale: it is marked as a program"))
    if problems:
        problems.sort()
        mend = f"{COMMAND} --force" if found.foreign else "nixgen sync"
        raise Finding([*problems[:-1], replace(problems[-1], mend=f"write them again: {mend}")])


def generate(project: Project, *, force: bool = False) -> tuple[str, ...]:
    """Brings the generated files up to date, says so, and returns the paths that changed.

    Raises UserError when nixgen.lock is missing or older than the settings, when a package cannot be built, or when
    a file is in the way that nixgen did not write (unless ``force``).
    """
    with files.exclusive(project.root, console.info) as waited:
        if waited:
            project = find_project(project.root)
        pins = planning.read_pins(project)
        flake = flakelock.read(project.root)
        wanted = planning.rendered(planning.plan(project, pins), pins, flake)
        choice.warn_of_python_version(project, pins.lock.base.python)
        changed = write(project.root, wanted, COMMAND, force=force)
    tell(project, changed, flake)
    if not changed:
        console.info("The generated files are up to date with uv.lock and nixgen.lock.")
    return changed


def tell(project: Project, changed: Sequence[str], flake: flakelock.Flake | None) -> None:
    """Says what follows from what was written: for flake.nix, as it was before (``flake``), and for git."""
    if flakenix.NAME in changed:
        console.info(flakenix.NEWS)
    elif flake is not None and project.settings.environments and flakenix.lacks_environments(flake.text):
        line = "outputs = inputs: import ./nix/nixgen/outputs.nix inputs;"
        console.warn(f"flake.nix lists its outputs itself, and none of tool.nixgen.environments. To have all: {line}")
    if shutil.which("git") and git.in_work_tree(project.root):
        gitindex.tell(project.root, project.locks)


def write(
    root: Path, wanted: dict[str, bytes], command: str, *, force: bool, foreign: Sequence[str] = ()
) -> tuple[str, ...]:
    """Writes ``wanted`` and removes what nixgen wrote in nix/nixgen earlier; says and returns what changed.

    Raises UserError, before anything is written, naming each file in the way that nixgen did not write: those of the
    folder nix/nixgen, default.nix, and ``foreign``. With ``force`` they are named, then overwritten or removed.
    ``command`` is the one that ran, for the sentence.
    """
    files.refuse_links_out(root, wanted)
    found = changes(root, wanted)
    blocking = backup.in_place_of_folders(root, wanted)
    in_the_way = sorted({*found.foreign, *foreign, *blocking})
    if not force:
        refuse(in_the_way, command)
    for path in in_the_way:
        fate = "replaced" if path in wanted else "removed"
        console.warn(f"{path} was not written by nixgen: it is {fate} (--force).")
    remove = {*found.remove, *in_the_way} - {*wanted, *blocking}
    with backup.put_aside(root, blocking):
        changed = files.write_all(root, wanted, sorted(remove))
    _report(changed, wanted)
    return changed


def refuse(in_the_way: Sequence[str], command: str) -> None:
    """Raises UserError when there are files in the way that nixgen did not write."""
    mend = f"move it elsewhere, or give it up: {command} --force"
    if in_the_way:
        raise UserError(Problem(path, "is in the way, and nixgen did not write it", mend) for path in in_the_way)


def _report(changed: tuple[str, ...], wanted: Mapping[str, bytes]) -> None:
    """Says what was written and removed, one short line each; the vendored folder is one line."""
    library = [path for path in changed if path.startswith(f"{vendored.FOLDER}/")]
    for path in changed:
        if path not in library:
            console.info(f"{'wrote' if path in wanted else 'removed'} {path}")
    if library:
        written = sum(path in wanted for path in library)
        counts = {"written": written, "removed": len(library) - written}
        told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        console.info(f"{vendored.FOLDER}/: {told}")
