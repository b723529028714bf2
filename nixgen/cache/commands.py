"""What the commands of ``nixgen cache`` have in common: the project, its record, its outputs, and what they print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nixgen.cache import keys as keyring
from nixgen.cache import pinning
from nixgen.cache.challenge import Challenge, challenge
from nixgen.cache.keys import Keys
from nixgen.cache.place import Place
from nixgen.cache.pull import Pulled, pull
from nixgen.cache.push import Pushed, push
from nixgen.cache.verify import Report, verify
from nixgen.check import facts, record
from nixgen.check.model import ClosurePath, Recipe, SystemRecord
from nixgen.check.rebuild import choose
from nixgen.console import console
from nixgen.errors import NixgenError, UserError
from nixgen.lock import lockfile
from nixgen.lock.logpins import LogPin
from nixgen.log import keys as log_keys
from nixgen.machine import folders
from nixgen.nix.tools import Nix
from nixgen.project.project import find_project


@dataclass(frozen=True, slots=True)
class Asked:
    """How a cache is named on the command line; what is missing comes from nixgen.lock."""

    url: str | None = None
    log: str | None = None
    log_key: str | None = None
    keys: tuple[str, ...] = ()


def keygen(project: Path, name: str | None, folder: Path | None) -> Keys:
    """Makes the keys of a cache; their name is the project's, with -1 behind it, where none is given.

    Raises UserError when the folder is inside the project: what is in there is shared.
    """
    root = _root(project)
    if name is None:
        if root is None:
            raise UserError.of("", "there is no project here to name the keys after", "name them: --name team-1")
        name = f"{find_project(project).name}-1"
    target = folders.typed(str(folder)) if folder else log_keys.place(name).resolve()
    if root is not None and target.is_relative_to(root):
        raise UserError.of(str(target), "is inside the project, which others read", "choose a --folder outside of it")
    return keyring.make(name, target)


def do_push(project: Path, asked: Asked, key: str | None, only: Sequence[str]) -> tuple[Place, Pushed, bool]:
    """Publishes outputs of the project and notes the cache in nixgen.lock. The last value: whether that changed it."""
    found = find_project(project)
    place, pin = pinning.choose(pinning.pins(found.root), asked.url, asked.log)
    keys = keyring.load(key or f"{found.name}-1")
    if pin is not None and pin.verifier != keys.verifier:
        mend = f"{lockfile.NAME} has {pin.verifier}: name that key with --key"
        raise UserError.of(place.url, f"its log is not signed with the key {keys.verifier.name} of yours", mend)
    recipes = _recipes(found.root)
    outputs = [recipes[name].out for name in _chosen(recipes, only)]
    done = push(place, keys, outputs, _recorded(found.root), pin.checkpoint if pin else None)
    return place, done, pinning.note(found.root, place, keys.verifier, [keys.public], done.checkpoint)


def do_pull(project: Path, asked: Asked, only: Sequence[str]) -> tuple[Place, Pulled]:
    """Takes the project's outputs from a cache."""
    root = find_project(project).root
    place, trust, _ = _trusted(root, asked)
    recipes = _recipes(root)
    outputs = [recipes[name].out for name in _chosen(recipes, only)]
    return place, pull(place, trust, outputs, _recorded(root))


def do_verify(project: Path, asked: Asked, *, recorded: bool, content: bool, note: bool) -> Report:
    """Verifies a cache. ``recorded``: only what the record has; ``content``: NARs, too; ``note``: into nixgen.lock."""
    root = _root(project)
    place, trust, pin = _trusted(root, asked)
    if note and root is None:
        raise UserError.of("--update", "there is no project here", "run it where a nixgen.lock can note the checkpoint")
    systems = _systems(root) if root is not None else {}
    if recorded and not systems:
        raise UserError.of(record.NAME, "has nothing to compare", "make the record: nixgen check --update")
    report = verify(place, trust, systems, recorded_only=recorded, bytes_too=content)
    if note and report.ok and report.checkpoint is not None:
        if root is None:
            raise UserError.of("--update", "needs a project whose nixgen.lock can note the checkpoint")
        if pinning.note(root, place, trust.verifier, trust.keys, report.checkpoint):
            console.info(f"Noted the log's checkpoint of {report.checkpoint.size} entries in {lockfile.NAME}")
    elif (
        pin is not None and report.ok and report.checkpoint is not None and report.checkpoint.size > pin.checkpoint.size
    ):
        more = report.checkpoint.size - pin.checkpoint.size
        console.info(f"The log has {more} entries more than {lockfile.NAME} knows of: --update notes them")
    return report


def do_challenge(
    project: Path, asked: Asked, only: Sequence[str], sample: int | None, seed: int | None
) -> tuple[Challenge, NixgenError | None]:
    """Rebuilds outputs of the project and compares them with a cache; and what to exit with."""
    root = find_project(project).root
    place, trust, _ = _trusted(root, asked)
    done = challenge(place, trust, _recipes(root), only, sample, seed)
    return done, done.error()


def _trusted(root: Path | None, asked: Asked) -> tuple[Place, pinning.Trust, LogPin | None]:
    place, pin = pinning.choose(pinning.pins(root), asked.url, asked.log)
    return place, pinning.trust(place, pin, asked.log_key, asked.keys), pin


def _root(start: Path) -> Path | None:
    """The folder of the project, None where there is none: a cache can be verified without one."""
    start = start.resolve()
    return next((folder for folder in (start, *start.parents) if (folder / lockfile.NAME).exists()), None)


def _recorded(root: Path) -> Mapping[str, ClosurePath]:
    """The closures of all systems of the project's record, by name."""
    return {name: path for system in _systems(root).values() for name, path in system.closure.items()}


def _systems(root: Path) -> Mapping[str, SystemRecord]:
    found = record.read_record(root / record.NAME)
    return found.systems if found is not None else {}


def _recipes(root: Path) -> dict[str, Recipe]:
    recipes = Nix.here().recipes(root, facts.system())
    return {name: Recipe(recipe.drv, recipe.out) for name, recipe in recipes.items()}


def _chosen(recipes: Mapping[str, Recipe], only: Sequence[str]) -> tuple[str, ...]:
    return choose(recipes, only).names if only else ("root",)
