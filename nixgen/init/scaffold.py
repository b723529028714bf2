"""The files of a project that ``nixgen init`` writes once: they are the user's own from then on."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from nixgen.bases.model import Base
from nixgen.errors import MachineError
from nixgen.generate import flakelock, flakenix, planning, render, write
from nixgen.init import cijob, gitattributes, handout
from nixgen.machine import backup, files, git
from nixgen.nix import vendored

FLAKE = "flake.nix"
SHELL = "shell.nix"
IGNORE = ".gitignore"
VENV = ".venv"
MOVED = "moved-by-nixgen"
"""The note in a .venv that was moved aside, by which it is known."""
WRITTEN = (
    handout.ENTER,
    handout.PAGE,
    FLAKE,
    SHELL,
    IGNORE,
    flakelock.NAME,
    gitattributes.NAME,
    planning.LOCK,
    planning.DEFAULT,
    planning.PYPROJECT,
)
"""What ``nixgen init`` may write outside nix/nixgen."""
_IGNORED = ("result", "result-*", VENV)


@dataclass(slots=True)
class Scaffold:
    """``files`` to write; ``foreign`` are those of them that somebody else wrote; ``notes`` are for the user."""

    files: dict[str, bytes] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def scaffold(root: Path, name: str, base: Base, previous: Base | None, wanted: Mapping[str, bytes]) -> Scaffold:
    """What is missing of these files.

    ``previous`` is the base that nixgen.lock pinned before this run, None for a project that nixgen does not know
    yet: what is there in such a project, without nixgen's first line, is somebody else's. ``wanted`` holds the files
    of nix/nixgen.
    """
    made = Scaffold()
    rewritten = _flake(made, root, name, base, previous)
    _flake_lock(made, root, base, previous, wanted, rewritten=rewritten)
    _once(made, root, SHELL, render.shell_nix().encode(), known=previous is not None)
    return made


def in_the_way(root: Path) -> list[str]:
    """What somebody else wrote where nixgen writes, in a project that it does not know yet: found before any work.

    Raises UserError for links that lead out of the project.
    """
    files.refuse_links_out(root, [FLAKE, SHELL, flakelock.NAME, *vendored.NAMES])
    there = {path: files.read(root, path) for path in (FLAKE, SHELL)}
    found = {path for path, old in there.items() if old is not None and not files.written_by_nixgen(old)}
    if FLAKE in found and (root / flakelock.NAME).exists():
        found.add(flakelock.NAME)
    return sorted({*found, *write.changes(root, {}).foreign, *backup.in_place_of_folders(root, vendored.NAMES)})


def gitignore(root: Path, *, work_tree: bool, more: tuple[str, ...] = ()) -> bytes | None:
    """.gitignore with the lines for what Nix and uv leave behind, None when they are there or git ignores it all.

    ``more`` are further folders.
    """
    old = files.read(root, IGNORE) or b""
    # All three may be links, which a pattern with a slash at its end is not about.
    present = {line.strip().lstrip("/") for line in old.decode(errors="replace").splitlines()}
    missing = [line for line in (*_IGNORED, *more) if line not in present]
    if missing and work_tree:
        ignored = git.ignored_paths(root, ["result", "result-1", ".venv", *more])
        folders = {VENV} if (root / VENV).is_dir() and not (root / VENV).is_symlink() else set()
        missing = [line for line in missing if line.replace("*", "1") not in ignored or line in folders]
    if not missing:
        return None
    separator = b"\n" if old and not old.endswith(b"\n") else b""
    return old + separator + "".join(f"{line}\n" for line in missing).encode()


def put_venv_aside(root: Path) -> str | None:
    """Moves a .venv that uv or venv made, so that the shell has its own there; its new name, None where there is none.

    Not the one that nixgen itself runs from.
    """
    venv = root / VENV
    if venv.is_symlink() or not (venv / "pyvenv.cfg").is_file() or Path(sys.prefix).is_relative_to(venv.resolve()):
        return None
    name = next(name for number in itertools.count(1) if not os.path.lexists(root / (name := f"{VENV}.old{number}")))
    try:
        venv.rename(root / name)
        if not (root / name / IGNORE).exists():
            (root / name / IGNORE).write_text("*\n")
        (root / name / MOVED).write_text("nixgen init moved this .venv here; nixgen clean removes it.\n")
    except OSError as error:
        raise MachineError.of(str(venv), f"cannot be moved: {error.strerror}", f"mv {VENV} {name}") from None
    return name


def ci_job(made: Scaffold, root: Path, asked: str | None, job: cijob.Job, *, first: bool) -> None:
    """Decides on the job for continuous integration.

    ``asked`` is a kind, "none", or None: then the ``first`` run writes GitHub's, where the project is the root of its
    repository, and a later one only brings up to date what is there and nobody has changed.
    """
    if asked == "none":
        return
    for kind, path in cijob.FILES.items():
        old = files.read(root, path)
        known = cijob.untouched(kind, old.decode(errors="replace")) if old is not None else None
        if known is not None:
            kept = replace(job, requirement=cijob.newer(known.requirement, job.requirement), folder=known.folder)
            made.files[path] = cijob.render(kind, kept).encode()
        elif asked == kind or (asked is None and first and kind == "github"):
            _new_ci_job(made, kind, job, old, asked=asked is not None)
            if kind == "gitlab" and path in made.files:
                _gitlab_entry(made, root, job)


def _new_ci_job(made: Scaffold, kind: cijob.Kind, job: cijob.Job, old: bytes | None, *, asked: bool) -> None:
    path = cijob.FILES[kind]
    again = f"nixgen init --ci {kind}"
    if old is not None and (files.written_by_nixgen(old) or not asked):
        who = "somebody has changed it" if files.written_by_nixgen(old) else "nixgen did not write it"
        made.notes.append(
            f"{path} stays as it is, because {who}. To have it written anew: move it elsewhere, then {again}"
        )
    elif not job.served(kind):
        made.notes.append(f"No CI job was written: {kind} has no machines for {', '.join(job.systems)}.")
    elif job.folder and not asked:
        where = "the project is not the root of its repository, where GitHub looks for it"
        made.notes.append(f"No CI job was written: {where}. To have one that you move there: {again}")
    elif not job.requirement and not asked:
        where = "this nixgen comes from a folder that other machines do not see"
        made.notes.append(f"No CI job was written: {where}. To have one in which you name it: {again}")
    else:
        made.files[path] = cijob.render(kind, job).encode()
        if old is not None:
            made.foreign.append(path)
        if job.folder and kind == "github":
            made.notes.append(f"GitHub reads {path} at the root of the repository only: move it there.")
        if not job.requirement:
            where = "This nixgen comes from a folder that other machines do not see"
            made.notes.append(f"{where}: say in {path}, at NIXGEN, what pip is to install there.")


def _gitlab_entry(made: Scaffold, root: Path, job: cijob.Job) -> None:
    path = f"{job.folder}/{cijob.FILES['gitlab']}".lstrip("/")
    old = None if job.folder else files.read(root, cijob.GITLAB_ENTRY)
    if old is None and not job.folder:
        made.files[cijob.GITLAB_ENTRY] = cijob.gitlab_entry().encode()
    elif old is None or path.encode() not in old:
        where = f"{cijob.GITLAB_ENTRY} at the root of the repository" if job.folder else cijob.GITLAB_ENTRY
        made.notes.append(f"Add to {where}: include: [{{ local: {path} }}]")


def _flake(made: Scaffold, root: Path, name: str, base: Base, previous: Base | None) -> bool:
    """Decides on flake.nix; returns whether it is written anew."""
    url = flakelock.input_url(base)
    text = render.flake_nix(name, base, url).encode()
    old = files.read(root, FLAKE)
    untouched = previous and old == render.flake_nix(name, previous, flakelock.input_url(previous)).encode()
    if old is None or untouched:
        made.files[FLAKE] = text
        return old != text
    if (renewed := flakenix.renewed(old)) is not None:
        made.files[FLAKE] = old = renewed
        made.notes.append(flakenix.NEWS)
    else:
        _once(made, root, FLAKE, text, known=previous is not None)
    if FLAKE in made.foreign:
        return True
    if url.encode() not in old:
        made.notes.append(f"flake.nix is yours and stays as it is; its input nixpkgs does not say {url}.")
    return False


def _flake_lock(
    made: Scaffold, root: Path, base: Base, previous: Base | None, wanted: Mapping[str, bytes], *, rewritten: bool
) -> None:
    old = files.read(root, flakelock.NAME)
    if old is None or rewritten:
        made.files[flakelock.NAME] = flakelock.fresh(base, wanted)
        if old is not None and previous is None and old != made.files[flakelock.NAME]:
            made.foreign.append(flakelock.NAME)
    else:
        text = made.files.get("flake.nix") or files.read(root, "flake.nix") or b""
        made.files[flakelock.NAME] = flakelock.in_step(flakelock.Flake(old, text), base, wanted)


def _once(made: Scaffold, root: Path, path: str, text: bytes, *, known: bool) -> None:
    """A file that is there stays when nixgen wrote it once, or ``known`` says that it may be the user's."""
    old = files.read(root, path)
    if old is not None and (known or files.written_by_nixgen(old)):
        return
    made.files[path] = text
    if old is not None and old != text:
        made.foreign.append(path)
