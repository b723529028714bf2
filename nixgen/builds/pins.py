"""Builds in nixgen.lock: the keys "builds" and "buildWheels", which are there only when something is built."""

from __future__ import annotations

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from typing import Any

from nixgen.builds.model import Build, Builds, BuildWheel, Crate
from nixgen.formats.strictjson import Table
from nixgen.machine import addresses
from nixgen.project.settings import SYSTEMS
from nixgen.resolve.model import Git, folder_path, local_path

KEYS = ("builds", "buildWheels")
_NAME = r"[a-z0-9]+(?:-[a-z0-9]+)*"  # PEP 503
_VERSION = r"[A-Za-z0-9][A-Za-z0-9.!+_-]*"
_FILE = r"[A-Za-z0-9_][A-Za-z0-9._+!-]*"
_WHEEL = rf"{_FILE}\.whl"
_REQUIRED = rf"{_WHEEL}|{_NAME}=={_VERSION}"
_SHA256 = r"[0-9a-f]{64}"
_URLS = ("https", "http", "file")
_CRATE, _CRATE_VERSION = r"[A-Za-z0-9_][A-Za-z0-9_-]*", r"[0-9A-Za-z][0-9A-Za-z.+-]*"
_CRATE_KEYS = ("name", "version", "url", "sha256")


def parse(top: Table) -> Builds:
    """The builds of a lock's top table. Problems are noted in the table."""
    wheels = [_wheel(entry) for entry in top.tables("buildWheels")] if "buildWheels" in top else []
    sources = [_build(entry) for entry in top.tables("builds")] if "builds" in top else []
    for what, names in (("builds", [one.key for one in sources]), ("buildWheels", [one.file for one in wheels])):
        for name in sorted({name for name in names if names.count(name) > 1}):
            top.problem(what, f'"{name}" is there twice')
    known = {one.key for one in sources} | {one.file for one in wheels}
    for build in sources:
        lacking = {name for names in build.requires.values() for name in names} - known
        for name in sorted(lacking):
            top.problem("builds", f'{build.key} requires "{name}", which is not pinned')
    if found := circle(sources):
        top.problem("builds", f"run in a circle: {' needs '.join(found)}")
    return sorted_builds(sources, wheels)


def circle(sources: Iterable[Build]) -> list[str]:
    """Builds that need one another, the first again at the end; nothing where there are none."""
    graph = {build.key: {name for names in build.requires.values() for name in names} for build in sources}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [str(name) for name in reversed(error.args[1])]
    return []


def sorted_builds(sources: Iterable[Build], wheels: Iterable[BuildWheel]) -> Builds:
    """The builds in the order of the file."""
    return Builds(
        tuple(sorted(sources, key=lambda one: (one.name, one.version))), tuple(sorted(wheels, key=lambda one: one.file))
    )


def dump(builds: Builds) -> dict[str, Any]:
    """The keys of the lock's top table, none for nothing. What a source does not have is left out."""
    tables: dict[str, Any] = {}
    if builds.sources:
        tables["builds"] = [_dump(one) for one in builds.sources]
    if builds.wheels:
        tables["buildWheels"] = [
            {key: getattr(one, key) for key in ("name", "version", "file", "url", "sha256")} | _size(one.size)
            for one in builds.wheels
        ]
    return tables


def _dump(build: Build) -> dict[str, Any]:
    where: dict[str, Any] = {"narHash": build.nar_hash} if build.nar_hash else {}
    if build.file:
        where = {"file": build.file, "sha256": build.sha256, **_size(build.size)}
    return {
        **{key: getattr(build, key) for key in ("name", "version", "source", "epoch", "inputs")},
        **where,
        "requires": {system: list(names) for system, names in sorted(build.requires.items())},
        **({"asked": build.asked} if build.asked else {}),
        **({"pure": True} if build.pure else {}),
        **({"crates": [crate_row(crate) for crate in build.crates]} if build.crates else {}),
    }


def crate_row(crate: Crate) -> dict[str, object]:
    """A crate in nixgen.lock, and in default.nix."""
    return {key: getattr(crate, key) for key in _CRATE_KEYS}


def _size(size: int | None) -> dict[str, int]:
    return {} if size is None else {"size": size}


def _wheel(entry: Table) -> BuildWheel:
    entry.closed("name", "version", "file", "url", "sha256", "size")
    url = entry.text("url")
    _check_address(entry, "url", url)
    return BuildWheel(
        name=entry.text("name", _NAME),
        version=entry.text("version", _VERSION),
        file=entry.text("file", _WHEEL),
        url=url,
        sha256=entry.text("sha256", _SHA256),
        size=entry.integer("size") if "size" in entry else None,
    )


def _build(entry: Table) -> Build:
    source = entry.text("source")
    git, folder = source.startswith("git+"), folder_path(source)
    bare = git or folder is not None
    own = ("narHash",) if git else () if bare else ("file", "sha256", "size")
    entry.closed("name", "version", "source", "epoch", "inputs", "requires", "asked", "crates", "pure", *own)
    if folder is not None:
        if folder != "." and any(part in {"", ".."} for part in folder.split("/")):
            entry.problem("source", "is not a folder in the project")
    elif not git:
        _check_address(entry, "source", source)
    elif (place := Git.parse(source)) is None:
        entry.problem("source", "is not git+, an address, @ and a commit of 40 hexadecimal digits")
    elif next(addresses.found(place.url), None):
        entry.problem("source", "is an address with a login in it")
    systems = entry.table("requires")
    systems.closed(*SYSTEMS)
    return Build(
        name=entry.text("name", _NAME),
        version=entry.text("version", _VERSION),
        source=source,
        epoch=entry.integer("epoch"),
        inputs=entry.text("inputs", _SHA256),
        requires={system: systems.texts(system, _REQUIRED) for system in sorted({*systems.keys()} & {*SYSTEMS})},
        file="" if bare else entry.text("file", _FILE),
        sha256="" if bare else entry.text("sha256", _SHA256),
        size=entry.integer("size") if "size" in entry else None,
        nar_hash=entry.text("narHash", r"sha256-[A-Za-z0-9+/]{43}=") if git else "",
        crates=tuple(map(_crate, entry.tables("crates"))) if "crates" in entry else (),
        pure=entry.flag("pure") if "pure" in entry else False,
        asked=entry.choice("asked", SYSTEMS) if "asked" in entry else "",
    )


def _crate(entry: Table) -> Crate:
    entry.closed(*_CRATE_KEYS)
    url = entry.text("url")
    entry.check_url("url", url, ("https", "http"))
    name, version = entry.text("name", _CRATE), entry.text("version", _CRATE_VERSION)
    return Crate(name, version, url, entry.text("sha256", _SHA256))


def _check_address(entry: Table, key: str, url: str) -> None:
    """An address, or ``file:`` and a path that stays in the project."""
    path = local_path(url)
    if path is None:
        entry.check_url(key, url, _URLS)
    elif any(part in {"", ".."} for part in path.split("/")):
        entry.problem(key, "is not a path in the project")
