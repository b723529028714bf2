"""``nixgen verify`` and ``nixgen run``: what nixgen.lock pins, where it lies here, and the guard over both."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nixgen import guard
from nixgen.artifacts.model import ServiceSpec
from nixgen.console import console
from nixgen.errors import Finding, MachineError, Problem, UserError
from nixgen.lock import lockfile
from nixgen.machine import process
from nixgen.nix import inputs, install

_NOTHING = "pin something: nixgen model add, nixgen data add"
_LARGEST_SEED = (1 << 32) - 1  # NumPy's, and that of PYTHONHASHSEED
_PLACES = """
{ root }:
let project = import (/. + root) { };
in {
  NIXGEN_MODELS = toString project.models-all;
  NIXGEN_DATA = toString project.data-all;
  HF_HUB_CACHE = toString project.cache;
}
"""


@dataclass(frozen=True, slots=True)
class Options:
    """How a check is done: with a stamp or without, where it is kept, its age in seconds, and the report's form.

    ``environment`` is the name of the one to run in, "" for the default one, or that of the shell in which this runs.
    """

    stamp: bool = True
    stamps: Path | None = None
    age: float = guard.STAMP_AGE
    report: str = "text"
    environment: str = ""


def find_lock(start: Path) -> Path:
    """The nixgen.lock in ``start`` or the nearest folder above it. Raises UserError when there is none."""
    folder = start.resolve()
    for place in (folder, *folder.parents):
        if (place / lockfile.NAME).is_file():
            return place / lockfile.NAME
    raise UserError.of(str(start), f"there is no {lockfile.NAME} here or above", "make it: nixgen init, or nixgen sync")


def trees(lock: Path, names: Sequence[str], folder: Path | None = None) -> tuple[guard.Tree, ...]:
    """Where the named artifacts (none: all) lie, and what each must hold.

    With a ``folder``: that folder is the one artifact that is asked for, or holds each of several by its name. Else:
    where this project's shell says, or, outside of it, where Nix would put them; nothing is built or fetched for that.
    """
    pinned = lockfile.read_lock(lock).artifacts  # its sentences are better than the guard's
    try:
        if not pinned:
            guard.select((), names)
            raise UserError.of(lockfile.NAME, "pins no model and no data: there is nothing to verify", _NOTHING)
        text = lock.read_text(encoding="utf-8")
        if folder is not None:
            return _in_folder(text, names, folder)
        env = os.environ if _in_shell(lock.parent) else _places(lock.parent)
        return guard.select(guard.parse(text, lockfile.NAME, env=env), names)
    except guard.BadInput as error:
        raise UserError.of(
            "", str(error), error.hint or "see what is pinned: nixgen model list, nixgen data list"
        ) from None


def worktree(lock: Path, names: Sequence[str]) -> None:
    """Raises Finding for what of the named artifacts (none: all) lies in the project, and is not what was pinned."""
    from nixgen.artifacts.sources import local

    pinned = lockfile.read_lock(lock).artifacts
    chosen = [one for one in pinned if not names or one.key in names or one.name in names]
    with console.step("verifying"):
        problems = local.changed(lock.parent, chosen)
    if problems:
        raise Finding(problems)


def check(found: Sequence[guard.Tree]) -> guard.Report:
    """Hashes every file of the trees, without regard to any stamp."""
    with console.step("verifying"):
        return guard.check(found)


def refusal(report: guard.Report) -> Finding:
    """The findings of a report as problems, each with what mends it."""
    return Finding(
        Problem(f"{found.artifact}: {guard.shown(found.path)}", found.said, _mend(found)) for found in report.findings
    )


def start(lock: Path, names: Sequence[str], command: Sequence[str], options: Options) -> int:
    """Verifies, then becomes the command in the project's environment; the exit code when it does not start.

    Inside the project's shell the environment is there; from outside it is entered first, by nix-shell, which works
    with every version of Nix and with flakes or without.
    """
    unpinned = _unpinned(lock, names)
    if _inside(lock.parent, options, unpinned=unpinned):
        if unpinned:
            return guard.become(command)
        found = trees(lock, names)
        folder = str(options.stamps) if options.stamps else guard.default_stamps()
        stamp = guard.Stamp(folder, options.age) if options.stamp and folder else None
        return guard.guard(found, command, stamp=stamp, report=options.report)
    words, env = command_line(lock, names, command, options)
    return guard.become(words, env)


def command_line(
    lock: Path, names: Sequence[str], command: Sequence[str], options: Options
) -> tuple[list[str], Mapping[str, str]]:
    """What starts a process that becomes the command, after the guard and in the environment: words and variables."""
    words = list(command)
    unpinned = _unpinned(lock, names)
    if not unpinned:
        trees(lock, names, lock.parent)  # what is wrong with the lock or the names is told before a shell is entered
        program = str(Path(guard.__file__).parent)
        check = [sys.executable, "-I", program, "--expected", str(lock), "--report", options.report]
        check += ["--stamp-age", str(options.age)] if options.stamp else ["--no-stamp"]
        check += ["--stamp", str(options.stamps)] if options.stamp and options.stamps else []
        words = [*check, *names, "--", *command]
    if _inside(lock.parent, options, unpinned=unpinned):
        return words, os.environ
    if shutil.which("nix-shell") is None:
        raise MachineError.of(
            "", "there is no program nix-shell", f"install Nix: {install.nix()}; or use nixgen.guard without it"
        )
    inputs.refuse_strange(lock.parent)
    inner = f"exec {shlex.join(words)}"
    shell = f"environments.{options.environment}.shell" if options.environment else "shell"
    outer = ["nix-shell", str(lock.parent / "default.nix"), "-A", shell, "--run", inner]
    console.detail(f"$ {process.shown(outer)}")
    # Without this nix-shell looks for an interactive bash in the user's nixpkgs, to run one line.
    bash = {"NIX_BUILD_SHELL": found_bash} if (found_bash := shutil.which("bash")) else {}
    return outer, {**bash, **os.environ}


def _unpinned(lock: Path, names: Sequence[str]) -> bool:
    """Whether there is nothing to verify, and that is fine. Raises UserError where models.toml says that there is."""
    if names or lockfile.read_lock(lock).artifacts:
        return False
    from nixgen.artifacts import fields, manifest

    unlocked = manifest.read_manifest(lock.parent).specs
    if unlocked:
        what = f"is not in {lockfile.NAME}"
        raise UserError(Problem(f"{fields.FILE}: {one.key}", what, "lock it: nixgen sync") for one in unlocked)
    return True


def seed_variables(seed: int | None) -> dict[str, str]:
    """The variables that a seed is set in. Raises UserError for one that not every library takes."""
    if seed is None:
        return {}
    if not 0 <= seed <= _LARGEST_SEED:
        raise UserError.of("--seed", f"is {seed}, not a number from 0 to {_LARGEST_SEED}", "--seed 7")
    return {"PYTHONHASHSEED": str(seed), "NIXGEN_SEED": str(seed)}


def service(root: Path, name: str) -> ServiceSpec:
    """A service of models.toml. Raises UserError when there is no such service."""
    from nixgen.artifacts.manifest import read_manifest

    services = read_manifest(root).services
    for one in services:
        if one.name == name:
            return one
    known = ", ".join(one.name for one in services) or "none"
    raise UserError.of("models.toml: services", f'has no service "{name}"', f"services that it has: {known}")


def _in_folder(text: str, names: Sequence[str], folder: Path) -> tuple[guard.Tree, ...]:
    found = guard.select(guard.parse(text, lockfile.NAME, folder), names)
    if len(found) != 1 or (not names and (folder / found[0].name.partition(".")[2]).is_dir()):
        return found
    kind, _, name = found[0].name.partition(".")
    return (guard.locked(json.loads(text)[kind][name], kind, name, str(folder.absolute())),)


def _inside(root: Path, options: Options, *, unpinned: bool) -> bool:
    """Whether this process runs in the environment that is asked for; a shell with nothing pinned has no models."""
    here = _in_shell(root) or (unpinned and _shell_is_of(root))
    return here and options.environment in {"", os.environ.get("NIXGEN_LABEL")}


def _in_shell(root: Path) -> bool:
    """Whether this process runs in the shell of the project, or where models were put by hand (a container)."""
    if not os.environ.get("NIXGEN_MODELS"):
        return False
    return not os.environ.get("NIXGEN_ROOT") or _shell_is_of(root)


def _shell_is_of(root: Path) -> bool:
    shell = os.environ.get("NIXGEN_ROOT", "")
    return bool(shell) and Path(shell).is_dir() and root.samefile(shell)


def _places(root: Path) -> Mapping[str, str]:
    if shutil.which("nix-instantiate") is None:
        raise MachineError.of("", "where models and data lie is not known: there is no Nix here", _install())
    command = ["nix-instantiate", "--eval", "--strict", "--json", "--argstr", "root", str(root), "-E", _PLACES]
    inputs.refuse_strange(root)
    with console.step("asking Nix where models and data lie"):
        answer = json.loads(process.run(command, missing=_install()).out)
    return {str(key): str(value) for key, value in answer.items()}


def _mend(found: guard.Found) -> str:
    kind, _, name = found.artifact.partition(".")
    verb = "data" if kind == "data" else "model"
    if found.problem == "missing":
        return f"get the files, then enter the shell: nixgen {verb} fetch {name}; nix develop"
    if found.problem == "nix":
        return "check the whole store: nix-store --verify --check-contents --repair"
    if found.problem in {"changed", "unstable"}:
        return "replace it by the pinned one; in the store: nix-store --verify --check-contents --repair"
    return ""


def _install() -> str:
    return f"install Nix: {install.nix()}; or name the folder with --path"
