"""``nixgen add``, ``remove`` and ``upgrade``: what uv does to pyproject.toml and uv.lock, and a sync behind it.

All or nothing: where the sync fails or is interrupted, every file is as it was, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from nixgen.console import console
from nixgen.errors import NixgenError, UserError
from nixgen.generate import gitindex
from nixgen.init import handout
from nixgen.machine import files
from nixgen.nix import vendored
from nixgen.project import uvlock
from nixgen.project.project import UV_LOCK, Project
from nixgen.resolve import uv
from nixgen.sync import sync

_TOLD = ("Added ", "Removed ", "Updated ", "warning: ")
_PYPROJECT = "pyproject.toml"


def change(start: Path, verb: str, words: Sequence[str], options: sync.Options) -> sync.Done:
    """Runs ``uv add`` or ``uv remove`` (``verb``) with these words in a folder, then syncs; what was done.

    Raises what uv and :func:`nixgen.sync.sync.sync` raise: the project is then as it was.
    """
    own = [] if "--script" in words else ["--no-sync"]  # a script has nothing to sync, which uv would warn of
    return _change(sync.find(start), start, [[verb, *own, *words]], options)


def upgrade(start: Path, names: Sequence[str], options: sync.Options) -> sync.Done:
    """Runs ``uv lock --upgrade`` for the project and its scripts, or only for some packages, then syncs; as above."""
    project = sync.find(start)
    asked = [word for name in names for word in ("--upgrade-package", name)] or ["--upgrade"]
    scripts = (["--script", view.script.path] if view.script else [] for view in sync.uv_views(project))
    return _change(project, project.root, [["lock", *asked, *script] for script in scripts], options)


def _change(project: Project, start: Path, commands: Sequence[Sequence[str]], options: sync.Options) -> sync.Done:
    if project.pylock is not None or (project.lock != UV_LOCK and project.script is None):
        mend = f"change what it is made of with that tool, then: {sync.COMMAND}"
        raise UserError.of(project.lock, "was made by another tool than uv", mend)
    words = [word for command in commands for word in command]
    with files.exclusive(project.root, console.info), _all_or_nothing(project, start.resolve(), words) as before:
        files.refuse_read_only(project.root)
        said = [uv.change(start.resolve(), *command) for command in commands]
        for line in dict.fromkeys("\n".join(said).splitlines()):
            if line.startswith(_TOLD):
                console.info(line)
        changed = [path for path, data in before.items() if files.read(project.root, path) != data]
        if changed:
            console.info(f"wrote {', '.join(changed)}")
        done = sync.sync(project.root, options)
    return replace(done, changed=(*changed, *done.changed))


@contextmanager
def _all_or_nothing(project: Project, start: Path, words: Sequence[str]) -> Iterator[dict[str, bytes | None]]:
    """Puts every file back that uv and sync write, where what is done in it fails; gives those of uv, as they are."""
    root = project.root
    by_uv = {path: files.read(root, path) for path in sorted(_written_by_uv(project, start, words))}
    before = by_uv | {path: files.read(root, path) for path in _ours(root)}
    try:
        yield by_uv
    except BaseException as error:
        wanted = {path: data for path, data in before.items() if data is not None}
        gone = {path for path, data in before.items() if data is None} | (_ours(root) - before.keys())
        differing = {path: data for path, data in wanted.items() if files.read(root, path) != data}
        files.write_all(root, differing, sorted(path for path in gone if (root / path).exists()))
        files.forget_changes()
        if isinstance(error, NixgenError):
            console.info(f"Took it back: {_PYPROJECT} and {UV_LOCK} are as before")
        raise


def _written_by_uv(project: Project, start: Path, words: Sequence[str]) -> set[str]:
    """The files that uv may change: lists and lock of the project and its members, scripts and theirs."""
    found = {_PYPROJECT, UV_LOCK}
    if project.path(UV_LOCK).exists():
        folders = (uvlock.folder(package) for package in project.uv_lock().local)
        found |= {(Path(folder) / _PYPROJECT).as_posix() for folder in folders}
    scripts = [project.path(one.path) for one in project.scripts.values()]
    scripts += [start / after for word, after in pairwise(words) if word == "--script"]
    for script in scripts:
        if script.resolve().is_relative_to(project.root):
            path = script.resolve().relative_to(project.root).as_posix()
            found |= {path, f"{path}.lock"}
    return {path for path in found if not path.startswith(("/", ".."))}


def _ours(root: Path) -> set[str]:
    """The files that a sync writes."""
    return {*gitindex.NEEDED, handout.PAGE, *vendored.present(root)}
