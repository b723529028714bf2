"""The plan of a project, and the text of its Nix files. Pure and offline: the same input gives the same bytes."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nixgen.bases.model import DebianBase, NixpkgsBase
from nixgen.builds import asked, use
from nixgen.console import console
from nixgen.errors import Problem, UserError
from nixgen.generate import flakelock, flakenix, imagerow, render
from nixgen.generate.digest import of_bytes, of_lock, of_pyproject, of_script
from nixgen.generate.model import Plan, SourceTree
from nixgen.lock import fit
from nixgen.lock.model import Lock
from nixgen.machine import files
from nixgen.nix import vendored
from nixgen.project import tasks
from nixgen.project.project import UV_LOCK

if TYPE_CHECKING:
    from nixgen.artifacts.model import Manifest
    from nixgen.project.project import Project
    from nixgen.project.settings import Settings

DEFAULT = "default.nix"
LOCK = "nixgen.lock"
MANIFEST = "models.toml"
PYPROJECT = "pyproject.toml"
PYTHON_VERSION = ".python-version"
_MEND = "nixgen sync"


@dataclass(frozen=True, slots=True)
class Pins:
    """What ``nixgen lock`` made: nixgen.lock as read and as bytes, and the bootstrap tarballs by path."""

    lock: Lock
    text: bytes
    tarballs: Mapping[str, bytes]


def read_pins(project: Project) -> Pins:
    """The pins on disk. Raises UserError when they are missing, damaged, or older than the settings."""
    from nixgen.lock.lockfile import parse_lock

    text = files.read(project.root, LOCK)
    if text is None:
        raise UserError.of(LOCK, "is missing", f"make it: {project.pin_again}")
    try:
        lock = parse_lock(text.decode())
    except UnicodeDecodeError:
        raise UserError.of(LOCK, "is not UTF-8 text", f"write it again: {_MEND}") from None
    problems = fit.problems(project.settings, lock) + artifact_problems(project, lock)
    tarballs: dict[str, bytes] = {}
    if isinstance(lock.base, DebianBase) and not problems:
        for entry in lock.base.bootstrap:
            path = f"{vendored.FOLDER}/bootstrap/{entry.file}"
            data = files.read(project.root, path)
            if data is None:
                problems.append(Problem(path, "is missing", f"write it again: {_MEND}"))
            elif hashlib.sha256(data).hexdigest() != entry.sha256:
                problems.append(Problem(path, "is not the file that nixgen.lock pins", f"restore it, or: {_MEND}"))
            else:
                tarballs[path] = data
    if problems:
        raise UserError(problems)
    return Pins(lock, text, tarballs)


def artifact_problems(project: Project, lock: Lock) -> list[Problem]:
    """In what nixgen.lock and models.toml disagree. Raises UserError for what is wrong in models.toml."""
    from nixgen.artifacts import drift
    from nixgen.artifacts.manifest import read_manifest

    manifest = read_manifest(project.root)
    if not manifest.specs and not lock.artifacts:
        return []
    return drift.problems(manifest, lock.artifacts, project.lock_text())


def plan(
    project: Project, pins: Pins, pyproject: bytes | None = None, scripts: Mapping[str, bytes] | None = None
) -> Plan:
    """What is to be generated (``pyproject``, ``scripts``: as they will be). Raises UserError with every problem."""
    from nixgen.artifacts.manifest import read_manifest
    from nixgen.bases import otherpython
    from nixgen.bases.python import full_version, targets
    from nixgen.generate.trees import source_trees
    from nixgen.resolve import environments, hashes
    from nixgen.resolve.resolution import left_out, merged_problems

    base = pins.lock.base
    systems = project.settings.systems
    if systems is None and isinstance(base, DebianBase):
        systems = tuple(entry.system for entry in base.bootstrap)
    full = full_version(project.settings, base.python, base)
    wanted = targets(project.settings, systems, base.python, full)
    known = {entry.url: entry for entry in pins.lock.hashes}
    exported = environments.export(project, known)
    resolutions, dropped = environments.select(project, exported, wanted, base.glibc, known, hints=True)
    resolutions = otherpython.hinted(project, resolutions)
    for one in dropped:
        option = f" --env {one.environment}" if one.environment else ""
        console.warn(f"{left_out(one)} (nixgen show{option} --system {one.target.system})")
    problems = merged_problems(resolutions) + hashes.changed(project.root, resolutions)
    wanted_builds = asked.read(project, base, resolutions)
    builds = use.used(wanted_builds, resolutions, pins.lock.builds)
    problems += [*wanted_builds.problems, *builds.problems]
    if any(file.url is None for artifact in pins.lock.artifacts for file in artifact.files):
        from nixgen.artifacts.sources import local

        problems += local.changed(project.root, pins.lock.artifacts)
    if problems:
        raise UserError(problems)
    manifest = read_manifest(project.root)
    if wrong := service_problems(project.settings, manifest):
        raise UserError(wrong)
    trees = source_trees(project, resolutions)
    for note in (note for tree in trees for note in tree.notes):
        console.warn(str(note))
    exact = project.settings.python_full is not None or any(one.patch for one in resolutions)
    return Plan(
        name=project.name,
        base=base,
        systems=tuple(one.target.system for one in environments.of(environments.DEFAULT, resolutions)),
        resolutions=resolutions,
        trees=trees,
        digests=_all_digests(project, pins, manifest, pyproject, trees, scripts or {}),
        prefer=project.settings.prefer,
        skip_imports=project.settings.skip_imports,
        smoke=project.settings.smoke,
        cuda=project.settings.cuda,
        bytecode=project.settings.bytecode,
        run=tasks.text(project.settings.run) if project.settings.run else "",
        tasks={name: tasks.script(project.settings.tasks, name) for name in project.settings.tasks},
        environments={name: own.smoke for name, own in project.settings.environments.items()},
        scripts={name: one.path for name, one in project.scripts.items()},
        exact_python=full if exact and isinstance(base, NixpkgsBase) else None,
        build_wheels=tuple(use.wheel_row(*row) for row in builds.wheels),
        builds=tuple(use.planned_row(wanted_builds, row) for row in builds.builds),
        artifacts=pins.lock.artifacts,
        services=manifest.services,
        images=imagerow.row(project),
        lock=project.lock,
    )


def service_problems(settings: Settings, manifest: Manifest) -> list[Problem]:
    """Services that are called as an environment is, or that run in one that is not there; images of neither."""
    names = settings.environments
    taken = sorted({service.name for service in manifest.services} & names.keys())
    what, mend = "is the name of a service in models.toml, too", "give one of the two another name"
    problems = [Problem(f"{PYPROJECT}: tool.nixgen.environments.{name}", what, mend) for name in taken]
    both = sorted({service.name for service in manifest.services} & settings.tasks.keys())
    problems += [Problem(f"{PYPROJECT}: tool.nixgen.tasks.{name}", what, mend) for name in both]
    problems += imagerow.problems(settings, [service.name for service in manifest.services])
    for service in manifest.services:
        if service.environment and service.environment not in names:
            where = f"{MANIFEST}: services.{service.name}.environment"
            what = f'"{service.environment}" is not one of tool.nixgen.environments in {PYPROJECT}'
            problems.append(Problem(where, what, f"those are: {', '.join(names)}" if names else "leave it out"))
    return problems


def _all_digests(
    project: Project,
    pins: Pins,
    manifest: Manifest,
    pyproject: bytes | None,
    trees: Sequence[SourceTree],
    scripts: Mapping[str, bytes],
) -> dict[str, str]:
    """The digests, those of scripts included; ``scripts`` are those that will be other than they are."""
    found = digests(project.root, pins, manifest, pyproject, trees, project.locks)
    paths = [one.path for one in project.scripts.values()]
    texts = {path: scripts.get(path) or files.read(project.root, path) or b"" for path in paths}
    return found | {path: of_script(text) for path, text in texts.items()}


def digests(
    root: Path,
    pins: Pins,
    manifest: Manifest,
    pyproject: bytes | None = None,
    trees: Sequence[SourceTree] = (),
    locks: Sequence[str] = (UV_LOCK,),
) -> dict[str, str]:
    """The digests of what default.nix is made from: when one changes, Nix refuses to evaluate.

    models.toml is among them when it asks for something; comments in an empty one may change. Of ``trees``, the local
    packages, each counts.
    """
    found = {name: of_bytes(files.read(root, name) or b"") for name in locks} | {LOCK: of_lock(pins.text)}
    if manifest.specs or manifest.services:
        found[MANIFEST] = of_bytes(files.read(root, MANIFEST) or b"")
    for name in (PYTHON_VERSION, "uv.toml"):
        data = files.read(root, name)
        found[name] = "" if data is None else of_bytes(data.replace(b"\r\n", b"\n"))
    for folder in {".", *(tree.path for tree in trees)}:
        path = posixpath.normpath(f"{folder}/{PYPROJECT}")
        text = pyproject if pyproject is not None and folder == "." else files.read(root, path)
        if text is not None:
            found[path] = of_pyproject(text)
    for tree in trees:
        for path in tree.files:
            found[path] = "text:" + of_bytes((files.read(root, path) or b"").replace(b"\r\n", b"\n"))
        found |= {path: f"lines:{lines}" for path, lines in tree.lines.items()}
    return found


def rendered(made: Plan, pins: Pins, flake: flakelock.Flake | None) -> dict[str, bytes]:
    """Every file that generate owns, by path, in the order of writing: default.nix is last.

    ``flake`` is the project's flake as it is, None where there is none; its input ``nixpkgs`` is kept at the pins.
    """
    library = vendored.contents(made.base.kind, render.base_nix(made), pins.tarballs)
    wanted = dict(library)
    if flake is not None:
        wanted[flakelock.NAME] = flakelock.in_step(flake, made.base, wanted)
        if (text := flakenix.renewed(flake.text)) is not None:
            wanted[flakenix.NAME] = text
    # The library's own default.nix has the digests of the others; the tarballs are pinned.
    theirs = {path: of_bytes(library[path]) for path in library if path.endswith(".nix")}
    made = replace(made, digests={**made.digests, **theirs})
    wanted[DEFAULT] = render.default_nix(made).encode()
    return wanted


def outputs(project: Project) -> dict[str, bytes]:
    """What ``nixgen generate`` writes for this project, by path relative to it. Writes nothing."""
    pins = read_pins(project)
    return rendered(plan(project, pins), pins, flakelock.read(project.root))
