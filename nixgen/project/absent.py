"""Local sources that uv.lock names and this machine does not have: what brings them back.

A submodule that was not checked out, a folder beside the project, a path in somebody's home: uv.lock is right, and uv
would say that it is not (``uv lock --check``), or ask a build backend that is not there.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from nixgen.errors import Problem
from nixgen.project import uvlock

if TYPE_CHECKING:
    from nixgen.project.project import Project

_MODULE = r"(?m)^\s*path\s*=\s*\"?(.+?)\"?\s*$"
_CHECK_OUT, _BRING_BACK = "git submodule update --init", "bring it back"
_ELSEWHERE = "a teammate does not have it either"
MENDS = (_CHECK_OUT, _BRING_BACK, _ELSEWHERE)
"""How the hints begin: what is absent is so for every system."""
_SOURCES = ("pyproject.toml", "setup.py", "setup.cfg")


def problems(project: Project) -> tuple[Problem, ...]:
    """All of uv.lock's folders and files that are not there."""
    folders = ((str(package.get("name")), uvlock.folder(package)) for package in project.uv_lock().local)
    found = [problem(project.root, name, folder) for name, folder in folders]
    found += [file_problem(project.root, *file) for file in uvlock.path_sources(project.lock_text())]
    return tuple(one for one in found if one is not None)


def problem(root: Path, name: str, folder: str) -> Problem | None:
    """What is wrong with the folder of a package, where it is not there, or empty."""
    place = root / folder
    if any((place / file).is_file() for file in _SOURCES):
        return None
    try:
        empty = place.is_dir() and not any(place.iterdir())
    except OSError:
        return None
    if place.exists() and not empty:
        return None  # what else is wrong with it is told where it is read
    what = f"its folder {folder} is {'empty' if empty else 'not there'}"
    return Problem(name, what, hint(root, folder) or _otherwise(root, name, folder))


def file_problem(root: Path, name: str, path: str) -> Problem | None:
    """What is wrong with the file of a package, a wheel or a source distribution, where it is not there."""
    if (root / path).exists():
        return None
    return Problem(name, f"its file {path} is not there", hint(root, path) or _otherwise(root, name, path))


def hint(root: Path, path: str) -> str:
    """The command that checks out the submodule that a path lies in; "" where it lies in none."""
    place = Path(os.path.normpath(root / path))
    top = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), root)
    try:
        text = (top / ".gitmodules").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    for found in re.findall(_MODULE, text):
        module = Path(os.path.normpath(top / found))
        if place.is_relative_to(module):
            return f"{_CHECK_OUT} {shlex.quote(os.path.relpath(module, root))}"
    return ""


def _otherwise(root: Path, name: str, path: str) -> str:
    if Path(os.path.normpath(root / path)).is_relative_to(root):
        return f"{_BRING_BACK} (git status says what was removed), or write uv.lock without it: uv lock"
    return f"{_ELSEWHERE}: take {name} from git or an index ([tool.uv.sources]), then: uv lock"
