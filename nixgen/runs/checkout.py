"""A run's code in a folder of its own: its commit, its changes, and what of its inputs git does not have."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from nixgen.artifacts.store import Store, store_name
from nixgen.console import console
from nixgen.errors import Finding, MachineError, NixgenError, Problem, UserError
from nixgen.lock import lockfile
from nixgen.machine import git
from nixgen.runs.finding import Found
from nixgen.runs.model import DIFF, ConfigFile, Git, Run

_GROUP = 12  # digits of a commit


@dataclass(frozen=True, slots=True)
class Checkout:
    """Where a run is made again: the project, the folder of the command, its words, and its configurations."""

    project: Path
    folder: Path
    command: tuple[str, ...]
    config: tuple[Path, ...]


@contextmanager
def checkout(root: Path, found: Found) -> Iterator[Checkout]:
    """The run's commit in a new folder that is gone afterwards, with its changes, configurations and local data.

    ``root`` is the project here, whose repository has the commit or a remote that does. Raises UserError and
    MachineError with what is missing.
    """
    run = found.run
    commit = _commit(root, run)
    # Resolved: the environment compares paths, and on macOS a temporary folder lies behind a link.
    scratch = Path(tempfile.mkdtemp(prefix="nixgen-reproduce-")).resolve()
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        with console.step(f"checking out {commit[:_GROUP]}"):
            stack.enter_context(git.worktree(root, commit, scratch / "tree"))
        yield _filled(root, found, scratch / "tree")


def within(path: str, root: Path, folder: str) -> str:
    """A path that was given in a run's folder, relative to it, also where it was absolute and in the project here."""
    if not Path(path).is_absolute() or not Path(path).is_relative_to(root):
        return path
    return Path(os.path.relpath(path, root / folder)).as_posix()


def _commit(root: Path, run: Run) -> str:
    """The run's commit, which this repository has now."""
    known = run.git or Git()
    if not known.commit:
        what = "was recorded without a commit, so there is nothing to check out"
        raise UserError.of(run.id, what, "git commit, and record it again")
    if not git.in_work_tree(root):
        raise UserError.of(str(root), "is in no git repository", "clone the project, and run this in the clone")
    if git.has_commit(root, known.commit):
        return known.commit
    remotes = git.state(root).remotes
    places = [*sorted(remotes, key=lambda name: (name != "origin", name))]
    if known.remote and known.remote not in remotes.values():
        places.append(known.remote)
    with console.step(f"fetching {known.commit[:_GROUP]}"):
        said = git.fetch_commit(root, known.commit, places)
    if said or not places:
        where = f" ({known.branch})" if known.branch else ""
        told = "".join(f"\n{line}" for line in said)
        what = f"is neither in this repository nor at a remote of it: {known.commit}{where}{told}"
        mend = "push it from where the run was made: git push origin COMMIT:refs/heads/NAME"
        raise MachineError.of(f"{run.id}: the commit", what, mend)
    return known.commit


def _filled(root: Path, found: Found, tree: Path) -> Checkout:
    run = found.run
    _changes(found, tree)
    project = tree / (run.project.path if run.project is not None else ".")
    folder = Path(os.path.normpath(project / run.folder))
    problems: list[Problem] = []
    if not folder.is_relative_to(tree):
        problems.append(Problem(run.id, f"ran outside of its repository, in {run.folder}", "record it in the project"))
    if not (project / lockfile.NAME).is_file():
        problems.append(Problem(lockfile.NAME, "is not in the commit", "commit it, and record the run again"))
    if problems:
        raise UserError(problems)
    folder.mkdir(parents=True, exist_ok=True)
    problems += _files(root, run, project)
    if not problems:
        problems += _local(root, project)
    # What is in the project here by its whole path is meant to be that of the checkout.
    command = [word.replace(f"{root}/", f"{project}/") for word in run.command]
    config = []
    for one in run.config:
        place = _config(root, found, one, project, folder)
        if isinstance(place, Problem):
            problems.append(place)
            continue
        if place.is_relative_to(folder):
            place = place.relative_to(folder)
        config.append(place)
        given = one.path.replace(f"{root}/", f"{project}/")
        if str(place) != given:
            command = [_instead(word, given, str(place)) for word in command]
    if problems:
        raise UserError(problems)
    return Checkout(project, folder, tuple(command), tuple(config))


def _changes(found: Found, tree: Path) -> None:
    """Makes the changes that the run's tree had. Raises Finding where the file beside the record is another one."""
    known = found.run.git or Git()
    if not known.dirty:
        return
    patch = found.folder / DIFF
    shown = f"{found.folder.name}/{DIFF}"
    if not patch.is_file():
        raise UserError.of(shown, "is not there, and the run's tree had changes", "restore it, with the run's folder")
    if not _is(patch, known.sha256):
        raise Finding.of(shown, "is not what was recorded", "restore it with git")
    for sentence in found.run.missing:
        if sentence.startswith(f"{DIFF}: "):
            console.warn(f"the run's tree had more than is kept: {sentence.removeprefix(f'{DIFF}: ')}")
    git.apply(tree, patch.resolve())


def _files(root: Path, run: Run, project: Path) -> list[Problem]:
    """Brings those files of the project back that git does not have and that are here as they were."""
    problems = []
    for name, sha256 in (run.project.files if run.project is not None else {}).items():
        if _is(project / name, sha256):
            continue
        if _is(root / name, sha256):
            shutil.copyfile(root / name, project / name)
        elif not (project / name).exists():
            problems.append(Problem(name, "was there, and is neither in the commit nor here", "commit it, and record"))
        else:
            problems.append(Problem(name, "differs in the commit from what the run had", "commit it, and record"))
    return problems


def _local(root: Path, project: Path) -> list[Problem]:
    """Brings pinned files of the project back that git does not have: from the project here, or from Nix's store."""
    store = Store.here()
    problems = []
    for one in lockfile.read_lock(project / lockfile.NAME).artifacts:
        wanted = {file.local: (store_name(file.path), file.sha256) for file in one.files if file.local}
        archives = [file.archive for file in one.files if file.archive is not None]
        wanted |= {archive.local: ("", archive.sha256) for archive in archives if archive.local}
        for local, (name, sha256) in wanted.items():
            if _is(project / local, sha256):
                continue
            held = store.find([(name, sha256)]).values() if store is not None and name else ()
            place = next((place for place in (root / local, *held) if _is(place, sha256)), None)
            if place is None:
                what = f"is pinned as {sha256[:_GROUP]}…, which is neither in the commit nor here"
                problems.append(Problem(f"{one.key}: {local}", what, "bring the file back to where it was"))
                continue
            (project / local).parent.mkdir(parents=True, exist_ok=True)
            (project / local).unlink(missing_ok=True)
            shutil.copyfile(place, project / local)
    return problems


def _config(root: Path, found: Found, one: ConfigFile, project: Path, folder: Path) -> Path | Problem:
    """Where a configuration lies as it was: in the commit, else where it was given, else the copy beside the record."""
    here = Path(os.path.normpath(root / found.run.folder / one.path))
    place = Path(os.path.normpath(folder / one.path))
    if here.is_relative_to(root):  # given by its whole path, too
        place = project / here.relative_to(root)
    inside = place.is_relative_to(project)
    if _is(place, one.sha256):
        return place
    sources = [here, *([found.folder / one.copy] if one.copy else [])]
    source = next((path for path in sources if _is(path, one.sha256)), None)
    if source is None:
        why = f"its copy is without {', '.join(one.masked)}" if one.masked else "there is no whole copy of it"
        what = f"is not what the run had in the commit nor here, and {why}"
        return Problem(f"--config {one.path}", what, "bring it back to where it was")
    if source == here and not inside:
        return here
    target = place if inside else project / ".nixgen-config" / f"{one.sha256[:_GROUP]}-{Path(one.path).name}"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    shutil.copyfile(source, target)
    return target


def _instead(word: str, given: str, place: str) -> str:
    """A word of a command with another path in it."""
    if word == given:
        return place
    return word.removesuffix(given) + place if word.endswith(f"={given}") else word


def _is(path: Path, sha256: str) -> bool:
    with suppress(OSError, NixgenError), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    return False
