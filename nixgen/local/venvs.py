"""The venvs that a project's shell has made in its folder: ``.venv-KEY``, and the note in each of what it is made of.

The programs in nix/builders/own write them; here they are only read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nixgen.machine import files

NOTE = "nixgen"
LINK = ".venv"
"""The link to the one that was entered last."""

_SETUP = re.compile(r"/nix/store/[0-9a-z]{32}-(.+)-setup")
_LINES = 5


@dataclass(frozen=True, slots=True)
class Venv:
    """A venv: its folder; ``full``, the environment's name (``demo``, ``demo-docs``); and the shell that made it.

    ``root`` is the folder whose code it imports, as the note says; ``entered`` when the note was written last.
    """

    folder: Path
    full: str
    setup: str
    root: str
    entered: float


def read(folder: Path) -> Venv | None:
    """The venv in a folder, None where no shell of this user's made one there."""
    note = folder / NOTE
    try:
        state = note.lstat()
        lines = files.contents(note).decode().splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    setup = _SETUP.fullmatch(lines[1]) if len(lines) >= _LINES else None
    if setup is None or state.st_uid != os.geteuid() or not os.path.samestat(state, note.stat()):
        return None
    return Venv(folder, setup[1], lines[1], lines[2], state.st_mtime)


def of(root: Path) -> list[Venv]:
    """Those of a project, the one that was entered last first."""
    return sorted(_all(root), key=lambda one: one.entered, reverse=True)


def _all(root: Path) -> Iterator[Venv]:
    for folder in root.glob(f"{LINK}-*"):
        found = None if folder.is_symlink() else read(folder)
        if found is not None and os.path.realpath(found.root) == str(root):  # it may have been entered through links
            yield found


def current(root: Path, full: str) -> Venv | None:
    """The venv of one environment: the one that .venv leads to, else the one that was entered last."""
    mine = [one for one in of(root) if one.full == full]
    linked = [one for one in mine if leads_to(root / LINK, one.folder)]
    return next(iter(linked + mine), None)


def leads_to(link: Path, folder: Path) -> bool:
    """Whether a link leads to a folder."""
    try:
        return link.is_symlink() and link.samefile(folder)
    except OSError:
        return False
