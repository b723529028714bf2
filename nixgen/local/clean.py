"""What nobody needs any more on this machine, of what nixgen and its shells made: found, shown, and removed when asked.

Only what is certain: a folder that this user owns, no link, with a name and a note of nixgen's, and used by no process.
What is in the store is Nix's to remove, once nothing here leads to it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nixgen import console
from nixgen.errors import MachineError, Problem
from nixgen.formats import jsontext
from nixgen.init.scaffold import MOVED
from nixgen.local import kernels, venvs
from nixgen.machine import folders, scratch
from nixgen.nix import gcroots
from nixgen.project.project import Project

JSON_VERSION = 1
"""The version of the JSON's form: it grows when a key changes its meaning or goes."""

Kind = Literal["venv", "kernel", "roots", "bytecode", "temporary"]

_DAY = 86400.0
_JUST = 60.0  # seconds in which a shell that made a venv has its link lead there
_RANDOM = "[a-z0-9_]{8}"  # as the module tempfile has it
_UNFINISHED = re.compile(rf"\.venv-{_RANDOM}")
_MOVED = re.compile(r"\.venv\.old[1-9][0-9]*")
_STORE_NAME = re.compile(r"[0-9a-z]{32}-[^/]+")
_CACHED = re.compile(r"\.venv-[0-9a-f]{32}")
_PRIVATE = re.compile(rf"nixgen-(?:hf|venv)-([0-9]+)-([0-9]+)-{_RANDOM}")
_TEMPORARY = re.compile(rf"nixgen-(?:(?:challenge|export|git|reproduce|roots|second|smoke)-)?{_RANDOM}")


@dataclass(frozen=True, slots=True)
class Leftover:
    """A folder that can go: what it is, why nobody needs it, and how many bytes its files have."""

    path: Path
    kind: Kind
    why: str
    size: int


def found(project: Project | None) -> list[Leftover]:
    """What can go: of a project, and of this user, by path. Nothing is changed."""
    used = _InUse()
    every = [
        *(_of_project(project, used) if project else ()),
        *_in_cache(used),
        *_kernels(),
        *_roots(),
        *_bytecode(),
        *_temporary(used),
    ]
    return sorted(every, key=lambda one: str(one.path))


def remove(leftovers: Iterable[Leftover]) -> None:
    """Removes them. Raises MachineError with each that cannot be removed, when the others are gone."""
    named = {kernel.folder: kernel for kernel in kernels.known()}
    problems = []
    for one in leftovers:
        try:
            if one.kind == "kernel":
                kernels.remove([named[one.path]] if one.path in named else [])
            elif _is_own(one.path):
                shutil.rmtree(one.path)
        except OSError as error:
            problems.append(Problem(str(one.path), f"cannot be removed: {error.strerror}"))
    if problems:
        raise MachineError(problems)


def as_json(leftovers: Iterable[Leftover], *, removed: bool) -> str:
    """What was found, for programs."""
    rows = [{"path": str(one.path), "kind": one.kind, "why": one.why, "size": one.size} for one in leftovers]
    return jsontext.dumps({"version": JSON_VERSION, "removed": removed, "leftovers": rows})


def as_rows(leftovers: Iterable[Leftover]) -> list[tuple[str, ...]]:
    """What was found, for people."""
    return [(console.size(one.size), one.why, str(one.path)) for one in leftovers]


class _InUse:
    """Which folders a process of this machine runs from, works in, or has in its environment or command line."""

    def __init__(self) -> None:
        self._known: bytes | None = None

    def __call__(self, folder: Path, since: float) -> bool:
        """Where processes cannot be looked at, a folder that was used in the last day is taken for one."""
        if sys.platform != "linux":
            return time.time() - since < _DAY
        if self._known is None:
            self._known = b"\0".join(_processes())
        return re.search(re.escape(os.fsencode(folder)) + rb"(?![\w.-])", self._known) is not None


def _processes() -> Iterator[bytes]:
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and process.name != str(os.getpid()):
            for name in ("environ", "cmdline"):
                with contextlib.suppress(OSError):
                    yield (process / name).read_bytes()
            with contextlib.suppress(OSError):
                yield os.fsencode((process / "cwd").readlink())


def _is_own(folder: Path) -> bool:
    """Whether it is a folder of this user's, and no link."""
    try:
        state = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(state.st_mode) and state.st_uid == os.geteuid()


def _leftover(folder: Path, kind: Kind, why: str) -> Leftover:
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                size += Path(place, name).lstat().st_size
    return Leftover(folder, kind, why, size)


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _age(folder: Path) -> float:
    try:
        return time.time() - folder.lstat().st_mtime
    except OSError:
        return 0.0


def _of_project(project: Project, used: _InUse) -> Iterator[Leftover]:
    """Venvs of its shells: all but the latest of each environment, and those, too, where there is no .venv."""
    names = {project.name, *(f"{project.name}-{name}" for name in project.settings.environments)}
    link = project.root / venvs.LINK
    latest: set[str] = set()
    for venv in venvs.of(project.root):
        keeps = venv.full in names - latest and os.path.lexists(link)
        if keeps:
            latest.add(venv.full)
        if keeps or venvs.leads_to(link, venv.folder) or not _is_own(venv.folder):
            continue
        places = {venv.folder, Path(venv.root, venv.folder.name)}  # the way by which it was entered may have links
        if time.time() - venv.entered > _JUST and not any(used(place, venv.entered) for place in places):
            gone = venv.full not in names
            why = f"of the environment {venv.full}, which is gone" if gone else "an earlier environment of this project"
            yield _leftover(venv.folder, "venv", why if os.path.lexists(link) else "no .venv leads to it")
    yield from _moved(project.root, used)
    yield from _unfinished(project.root)


def _moved(root: Path, used: _InUse) -> Iterator[Leftover]:
    """Venvs of other tools that ``nixgen init`` moved aside, as its note in each says."""
    for path in _children(root):
        ours = _MOVED.fullmatch(path.name) and _is_own(path) and (path / MOVED).is_file()
        if ours and not venvs.leads_to(root / venvs.LINK, path) and not used(path, time.time() - _age(path / MOVED)):
            yield _leftover(path, "venv", "moved aside by nixgen init")


def _unfinished(folder: Path) -> Iterator[Leftover]:
    """What a shell that was killed has left, while it made a venv."""
    for path in _children(folder):
        old = _UNFINISHED.fullmatch(path.name) and _is_own(path) and _age(path) > _DAY
        if old and {child.name for child in _children(path)} <= {"new", "old"}:
            yield _leftover(path, "temporary", "left by a shell that was killed")


def _in_cache(used: _InUse) -> Iterator[Leftover]:
    """Venvs of shells that were entered from outside of their project."""
    cache = folders.cache("venvs")
    for path in _children(cache):
        venv = venvs.read(path) if _CACHED.fullmatch(path.name) and _is_own(path) else None
        if venv is None or used(path, venv.entered):
            continue
        if not Path(venv.setup).exists() and Path(venv.setup).parent.is_dir():
            yield _leftover(path, "venv", "its environment is gone from the store")
        elif venv.root and not Path(venv.root).is_dir():
            yield _leftover(path, "venv", "its project is gone")
    yield from _unfinished(cache)


def _kernels() -> Iterator[Leftover]:
    for kernel in kernels.known():
        if broken := kernel.broken():
            yield _leftover(kernel.folder, "kernel", broken)


def _roots() -> Iterator[Leftover]:
    """Links of commands that were killed, by which they kept store paths (:mod:`nixgen.nix.gcroots`)."""
    for path in _children(gcroots.place()):
        if _is_own(path) and _age(path) > _JUST and not scratch.is_held(path):
            yield _leftover(path, "roots", "left by a command that was killed")


def _bytecode() -> Iterator[Leftover]:
    """What was compiled of store paths that Nix has removed (nix/builders/kept.py), where there is a store to see."""
    store = Path("/nix/store")
    for path in _children(folders.cache("bytecode")) if store.is_dir() else ():
        if _STORE_NAME.fullmatch(path.name) and _is_own(path) and not os.path.lexists(store / path.name):
            yield _leftover(path, "bytecode", "byte code of what is gone from the store")


def _temporary(used: _InUse) -> Iterator[Leftover]:
    """Folders of shells, services and commands that have ended."""
    space = _namespace()
    places = dict.fromkeys(Path(place) for place in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir()) if place)
    for path in (child for place in places for child in _children(place)):
        private, age = _PRIVATE.fullmatch(path.name), _age(path)
        if private is None:
            ended = _TEMPORARY.fullmatch(path.name) is not None and age > _DAY
        elif private[1] != space:  # another container's: its processes are not seen
            ended = False
        else:
            ended = age > _DAY if private[2] == "0" else not scratch.is_alive(int(private[2]))  # 0: a shell of direnv's
        if ended and _is_own(path) and not used(path, time.time() - age):
            yield _leftover(path, "temporary", "left by a shell or a command that has ended")


def _namespace() -> str:
    """That of the process ids which folders are named after (nix/builders/own/private.py)."""
    try:
        return re.sub(r"\D", "", str(Path("/proc/self/ns/pid").readlink()))
    except OSError:
        return "0"
