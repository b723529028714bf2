"""``nixgen runs export --format ro-crate``: the folder of a crate, with copies of all that its metadata speaks of."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nixgen.console import console
from nixgen.errors import Finding, MachineError, Problem, UserError
from nixgen.machine import files, scratch
from nixgen.runs import config, crate
from nixgen.runs.finding import Found
from nixgen.runs.model import DIFF, NAME, STDERR, STDOUT

_MADE_NEW = "export a run whose outputs are still there, or make them again: nixgen reproduce"


@dataclass(frozen=True, slots=True)
class _Copy:
    """A file to copy: what the record calls it, where it is, where it goes, the hash it must have ("": any)."""

    name: str
    source: Path
    path: str
    sha256: str = ""


def export(root: Path, found: Found, folder: Path, licence: str = "") -> list[str]:
    """Makes the crate of a run of the project ``root``; its files. All or nothing: ``folder`` must not be there.

    Raises UserError for a run that has not ended, Finding for outputs that are not those of the run, MachineError.
    """
    run = found.run
    if run.status == "running":
        raise UserError.of(run.id, "did not end: it still runs, or nixgen was killed", "choose a run that ended")
    if os.path.lexists(folder):
        raise UserError.of(str(folder), "is there already", "name another folder with --out, or remove it")
    copies = {one.path: one for one in _plan(root, found)}.values()
    try:
        with scratch.folder(folder.parent) as made:
            made.chmod(0o755)
            listed, problems = [], []
            for one in copies:
                try:
                    with console.step(f"copying {one.name}"), files.opened(one.source) as file:
                        size, sha256 = files.write_pieces(made / one.path, files.pieces(file))
                except OSError as error:
                    if error.filename != str(one.source):
                        raise
                    problems.append(Problem(one.name, f"cannot be read: {error.strerror}", _MADE_NEW))
                    continue
                if one.sha256 not in {"", sha256}:
                    what = f"is not what the run made: SHA-256 {sha256}, the run's record has {one.sha256}"
                    problems.append(Problem(one.name, what, _MADE_NEW))
                listed.append(crate.File(one.path, size, sha256, one.name))
            if problems:
                raise Finding(problems)
            document = crate.document(run, listed, licence.encode("utf-8", "backslashreplace").decode())
            text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
            (made / crate.METADATA).write_bytes(text.encode())
            made.rename(folder)
    except OSError as error:
        raise MachineError.of(str(error.filename or folder), f"cannot be written: {error.strerror}") from None
    return [crate.METADATA, *(one.path for one in listed)]


def _plan(root: Path, found: Found) -> Iterator[_Copy]:
    """What the crate has: the record, what lies beside it, and the outputs. Raises UserError with every problem."""
    run, problems = found.run, []
    beside = [NAME, *(name for name in (STDOUT, STDERR) if os.path.lexists(found.folder / name))]
    beside += [one.copy for one in run.config if one.copy]
    beside += [run.git.diff] if run.git and run.git.diff else []
    for name in dict.fromkeys(beside):
        place = found.beside(name)
        if place is None:
            problems.append(Problem(f"{run.id}/{name}", "is no file of this run", "restore it with git"))
        elif name != DIFF or not _secrets(place):
            yield _Copy(name, place, name, run.git.sha256 if run.git and name == run.git.diff else "")
    for one in run.outputs:
        inside = os.path.relpath(root / run.folder / one.path, root)
        if _leads_out(inside):
            mend = "record a run that writes below the project's folder"
            problems.append(Problem(one.path, "lies outside of the project, and no crate can have it", mend))
        else:
            yield _Copy(one.path, root / inside, f"{crate.OUTPUTS}/{inside}", one.sha256)
    if problems:
        raise UserError(problems)


def _secrets(diff: Path) -> bool:
    """Whether a diff has what a copy of a configuration would have masked; it warns, naming the keys.

    It cannot be masked itself, since it is an input by its hash, and a crate is made to be given away.
    """
    try:
        keys = config.secrets(diff, quoted=False)
    except OSError as error:
        console.warn(f"{diff.name}: left out, since it cannot be looked through for secrets: {error.strerror}")
        return True
    if keys:
        console.warn(f"{diff.name}: left out, since it has values of {', '.join(keys)}")
    return bool(keys)


def _leads_out(path: str) -> bool:
    pure = PurePosixPath(path)
    return pure.is_absolute() or ".." in pure.parts
