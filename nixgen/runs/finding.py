"""Which runs a project has, and which one a person means."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nixgen.console import console
from nixgen.errors import NixgenError, Problem, UserError
from nixgen.runs import recordfile
from nixgen.runs.model import FOLDER, NAME, Run

_SHOWN = 5
_LIST = "see what there is: nixgen runs list"
_NONE = "record one: nixgen run --record -- COMMAND"


@dataclass(frozen=True, slots=True)
class Found:
    """A run and its folder."""

    folder: Path
    run: Run

    def beside(self, name: str) -> Path | None:
        """A file beside the record; None where there is none, or a link leads to one that is not of this run."""
        place = self.folder / name
        return place if place.is_file() and place.resolve().is_relative_to(self.folder.resolve()) else None


def folders(root: Path) -> list[Path]:
    """The folders of the runs of the project ``root``, the earliest first.

    One without a record is of a run that was never started: nixgen was killed just before.
    """
    place = root / FOLDER
    if not place.is_dir():
        return []
    return sorted(path for path in place.iterdir() if re.fullmatch(recordfile.ID, path.name) and (path / NAME).exists())


def all_runs(root: Path) -> tuple[list[Found], list[Problem]]:
    """The runs of a project, the earliest first; and what is wrong with those that cannot be read."""
    found: list[Found] = []
    problems: list[Problem] = []
    for folder in folders(root):
        try:
            found.append(Found(folder, recordfile.read(folder)))
        except NixgenError as error:
            problems += error.problems
    return found, problems


def runs(root: Path) -> list[Run]:
    """The same as runs alone; of those that cannot be read it warns."""
    found, problems = all_runs(root)
    for problem in problems:
        console.warn(f"{problem.where}: {problem.what}")
    return [one.run for one in found]


def instead(root: Path, fits: Callable[[Run], bool], mend: str) -> str:
    """What to type where a run does not do: ``mend``, and the id of the newest run that does."""
    for folder in reversed(folders(root)):
        with contextlib.suppress(NixgenError):
            if fits(recordfile.read(folder)):
                return f"{mend}; the newest that would do: {folder.name}"
    return mend


def find(root: Path, word: str) -> Found:
    """The run that a word means: "latest", an id or what no other id begins or ends with, or a path.

    Raises UserError where none is meant or several are, and what is raised of a record that cannot be read.
    """
    place = Path(word)
    if place.name == NAME:
        place = place.parent
    if word and (place / NAME).is_file():
        return Found(place.resolve(), recordfile.read(place))
    known = folders(root)
    if not known:
        raise UserError.of(str(root / FOLDER), "has no runs", _NONE)
    if word == "latest":
        return Found(known[-1], recordfile.read(known[-1]))
    meant = [path for path in known if word and (path.name.startswith(word) or path.name.endswith(word))]
    if len(meant) == 1:
        return Found(meant[0], recordfile.read(meant[0]))
    if not meant:
        raise UserError.of(word, "is no run of this project", _LIST)
    names = ", ".join(path.name for path in meant[-_SHOWN:])
    more = f" and {len(meant) - _SHOWN} more" if len(meant) > _SHOWN else ""
    raise UserError.of(word, f"is the beginning or end of {len(meant)} runs: {names}{more}", "write more of its id")
