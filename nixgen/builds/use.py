"""Which pins of nixgen.lock a project uses, and what has none: pure, from what is asked for and what is pinned."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nixgen.builds.asked import Asked, Source
from nixgen.builds.model import Build, Builds, BuildWheel
from nixgen.builds.pins import crate_row
from nixgen.errors import Problem
from nixgen.nix.json import hexadecimal
from nixgen.resolve.model import Git, Package, Resolution, Target, folder_path, local_path

_LOCK = "nixgen.lock"
_MEND = "nixgen sync"


@dataclass(frozen=True, slots=True)
class UsedBuild:
    """A build with the systems that it is for: ``installed`` there, or only something that another build needs."""

    source: Source
    build: Build
    systems: tuple[str, ...]
    installed: bool


@dataclass(frozen=True, slots=True)
class Used:
    """The builds of a project.

    ``wheels`` are those that these builds need, with their systems; ``problems`` the sources without pins.
    """

    builds: tuple[UsedBuild, ...] = ()
    wheels: tuple[tuple[BuildWheel, tuple[str, ...]], ...] = ()
    problems: tuple[Problem, ...] = ()


def sources(asked: Asked, resolutions: Sequence[Resolution]) -> tuple[Source, ...]:
    """All packages that are built, each once, sorted by name and version."""
    packages: dict[tuple[str, str, str], Package] = {}
    targets: dict[tuple[str, str, str], list[Target]] = {}
    for resolution in resolutions:
        for package in resolution.packages:
            if package.built:
                key = (package.name, package.version or "", package.address)
                packages[key] = package
                targets.setdefault(key, []).append(resolution.target)
    return tuple(asked.source(packages[key], targets[key]) for key in sorted(packages))


def package_of(build: Build) -> Package:
    """The package that a build is of, as far as its pins tell."""
    if git := Git.parse(build.source):
        return Package(build.name, build.version, "vcs", git=git)
    if folder := folder_path(build.source):
        return Package(build.name, build.version, "directory", path=folder, why="is pinned as a build")
    path = local_path(build.source)
    return Package(
        *(build.name, build.version, "sdist", build.file),
        url=None if path else build.source,
        sha256=build.sha256,
        size=build.size,
        path=path,
    )


def pinned(source: Source, builds: Iterable[Build]) -> Build | None:
    """The pins of a source, where they are for what it asks for now."""
    for build in builds:
        if (
            (build.name, build.source) == (source.name, source.address)
            and source.package.version in {None, build.version}
            and build.sha256 == (source.package.sha256 or "")
            and build.inputs == source.inputs
            and build.requires.keys() >= source.targets.keys()
        ):
            return build
    return None


def used(asked: Asked, resolutions: Sequence[Resolution], builds: Builds) -> Used:
    """The pins that these resolutions need."""
    by_key = {build.key: build for build in builds.sources}
    targets = {one.target.system: one.target for one in resolutions}
    found: dict[str, tuple[Source, Build]] = {}
    installed: dict[str, set[str]] = {}
    needed: dict[str, set[str]] = {}
    wheels: dict[str, set[str]] = {}
    lacking: dict[str, set[str]] = {}

    def visit(source: Source, systems: Iterable[str], into: dict[str, set[str]]) -> None:
        build = pinned(source, builds.sources)
        if build is None:
            old = any(one.name == source.name for one in builds.sources)
            lacking.setdefault("has old pins to build" if old else "has no pins to build", set()).add(source.name)
            return
        found[build.key] = source, build
        for system in systems:
            into.setdefault(build.key, set()).add(system)
            for name in build.requires[system]:
                if name not in by_key:
                    wheels.setdefault(name, set()).add(system)
                elif system not in needed.get(name, ()):
                    own = next((one for one in wanted if one.package.version and by_key[name].key == _key(one)), None)
                    visit(own or asked.source(package_of(by_key[name]), [targets[system]]), [system], needed)

    wanted = sources(asked, resolutions)
    for source in wanted:
        visit(source, source.targets, installed)
    rows = [
        UsedBuild(*found[key], tuple(sorted(systems)), is_installed)
        for key in sorted(found)
        for systems, is_installed in (
            (installed.get(key, set()), True),
            (needed.get(key, set()) - installed.get(key, set()), False),
        )
        if systems
    ]
    by_file = {wheel.file: wheel for wheel in builds.wheels}
    return Used(
        tuple(rows),
        tuple((by_file[file], tuple(sorted(wheels[file]))) for file in sorted(wheels)),
        tuple(Problem(_LOCK, f"{what} {listed(lacking[what])}", _MEND) for what in sorted(lacking)),
    )


def listed(names: Iterable[str]) -> str:
    """Names in a sentence, sorted."""
    *others, last = sorted(names)
    return f"{', '.join(others)} and {last}" if others else last


def _key(source: Source) -> str:
    return f"{source.name}=={source.package.version}"


def wheel_row(wheel: BuildWheel, systems: Sequence[str]) -> dict[str, object]:
    """The row of a wheel in default.nix."""
    return {
        "name": wheel.name,
        "version": wheel.version,
        "file": wheel.file,
        "systems": list(systems),
        "sha256": wheel.sha256,
        **_place(wheel.url),
    }


def build_row(
    asked: Asked,
    source: Source,
    requires: Mapping[str, Sequence[str]],
    epoch: int,
    version: str,
    nar_hash: str = "",
) -> dict[str, object]:
    """The row of a build in default.nix, but for what only that has (``systems``, ``installed``).

    ``nar_hash`` is that of a checkout, where it comes from git.
    """
    package = source.package
    settings = asked.packages.get(source.name)
    row: dict[str, object] = {
        "name": source.name,
        "version": version,
        **_origin(asked, package, nar_hash),
        "epoch": epoch,
        "requires": {system: list(names) for system, names in sorted(requires.items())},
    }
    if env := asked.settings.get(source.name, {}).get("env"):
        row["env"] = env
    if config := asked.config_of(source.name):
        row["settings"] = config
    if settings and (settings.build_libraries or settings.build_tools):
        row["needs"] = True
    if settings and settings.patches:
        row["patches"] = list(settings.patches)
    if settings and settings.timeout is not None:
        row["timeout"] = settings.timeout
    return row


def pinned_row(row: Mapping[str, object], build: Build) -> dict[str, object]:
    """The same row with what was found out of the source: its crates, and that it needs no compiler."""
    crates = {"crates": [crate_row(crate) for crate in build.crates]} if build.crates else {}
    asked = {"asked": build.asked} if build.asked else {}
    return {**row, **asked, **crates, **pure_row(row, pure=build.pure)}


def pure_row(row: Mapping[str, object], *, pure: bool) -> dict[str, object]:
    """What a row has besides where a build needs no compiler. What the settings give a build is there for something."""
    return {"pure": True} if pure and "needs" not in row else {}


def planned_row(asked: Asked, one: UsedBuild) -> dict[str, object]:
    """The row of a build in default.nix."""
    requires = {system: one.build.requires[system] for system in one.systems}
    build = one.build
    row = build_row(asked, one.source, requires, build.epoch, build.version, build.nar_hash)
    row = pinned_row(row, build)
    row |= {"systems": list(one.systems), **({} if one.installed else {"installed": False})}
    folder = asked.folders.get(one.source.package.path or "") if "folder" in row else None
    if folder is not None:
        row |= {"roots": list(folder.roots), "modules": list(folder.modules)}
    return row


def source_hash(row: Mapping[str, object]) -> str:
    """The SHA-256 of what a row has Nix fetch, in hexadecimal digits: of a file, or of a checkout's NAR."""
    git = row.get("git")
    return hexadecimal(str(git["narHash"])) if isinstance(git, Mapping) else str(row["sha256"])


def source_address(row: Mapping[str, object]) -> str:
    """What nixgen.lock calls the commit that a row is built from; "" for a file."""
    git = row.get("git")
    return str(Git(git["url"], git["rev"], str(row.get("subdirectory", "")))) if isinstance(git, Mapping) else ""


def _origin(asked: Asked, package: Package, nar_hash: str) -> dict[str, object]:
    if package.git is not None:
        return _checkout(package.git, nar_hash)
    if package.kind == "directory" and package.path:
        folder = asked.folders.get(package.path)
        top = (folder and folder.top) or package.path
        inside = {"subdirectory": posixpath.relpath(package.path, top)} if top != package.path else {}
        return {"file": f"the folder {package.path}", "folder": top, **inside}
    return _archive(package)


def _archive(package: Package) -> dict[str, object]:
    inside = {"subdirectory": package.subdirectory} if package.subdirectory else {}
    return {"file": package.file or "", "sha256": package.sha256 or "", **_place(package.address), **inside}


def _checkout(git: Git, nar_hash: str) -> dict[str, object]:
    inside = {"subdirectory": git.subdirectory} if git.subdirectory else {}
    place = {"url": git.url, "rev": git.commit, "narHash": nar_hash}
    return {"file": f"{git.url} at {git.commit}", "git": place, **inside}


def _place(address: str) -> dict[str, object]:
    path = local_path(address)
    return {"path": path} if path else {"url": address}
