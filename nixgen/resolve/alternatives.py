"""What would give a wheel of a package that is built: as far as uv.lock and folders of wheels in the project tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nixgen.formats.foreign import strings, tables
from nixgen.project.names import normalized
from nixgen.project.project import Project
from nixgen.resolve.model import Package, Resolution
from nixgen.resolve.wheels import Choice, parse


def alternatives(
    project: Project,
    exported: Mapping[str, Any],
    resolutions: Sequence[Resolution],
    glibc: str,
    pythons: Sequence[str],
) -> dict[tuple[str, str], str]:
    """A sentence by system and name; nothing of what no wheel is known, or none is wanted (``no-binary``).

    First another version, or the same from another index, that uv.lock has with a wheel for this target (a fork of the
    resolution, the other side of a conflict); then a wheel in a folder of the project; then another Python,
    of those that there may be, the best first.
    """
    found: dict[tuple[str, str], str] = {}
    for one in resolutions:
        choice = Choice(one.target, glibc, project.settings.macos)
        for package in one.packages:
            if package.built and "no-binary" not in package.why:
                entries = [entry for entry in exported.get("packages", ()) if entry["name"] == package.name]
                told = next(_told(project, package, choice, entries, pythons), "")
                if told:
                    found[one.target.system, package.name] = told
    return found


def _told(
    project: Project,
    package: Package,
    choice: Choice,
    entries: Iterable[Mapping[str, Any]],
    pythons: Sequence[str],
) -> Iterator[str]:
    wheels: list[Mapping[str, Any]] = []
    for entry in entries:
        offered = entry.get("wheels", ())
        wheels += offered if entry.get("version") == package.version else ()
        best = choice.best(offered)
        if best is not None:
            place = f" from {entry['index']}" if entry.get("version") == package.version and entry.get("index") else ""
            yield f"uv.lock has {entry.get('version')}{place} with a wheel that fits"
    there = [{"path": path.as_posix()} for path in _in_folders(project, package.name)]
    best = choice.best(there)
    if best is not None:
        yield f"a wheel that fits lies in {best['path']}"
    python = choice.other_python(wheels, pythons)
    if python:
        yield f'python = "{python}" has a wheel'


def _in_folders(project: Project, name: str) -> Iterator[Path]:
    """The wheels of a package in flat indexes that are folders of the project, by paths relative to it."""
    settings = project.uv_settings()
    flat = [str(index.get("url")) for index in tables(settings.get("index")) if index.get("format") == "flat"]
    for place in (*strings(settings.get("find-links")), *flat):
        folder = project.root / place.removeprefix("file:")
        if "://" in place or not folder.resolve().is_relative_to(project.root.resolve()) or not folder.is_dir():
            continue
        for path in sorted(folder.glob("*.whl")):
            if parse(path.name) is not None and normalized(path.name.partition("-")[0]) == name:
                yield path.relative_to(project.root)
