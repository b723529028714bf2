"""What cargo needs of the project to build one of its packages: its workspace, and crates in other folders."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nixgen.errors import UserError
from nixgen.formats.foreign import lookup, table, tables
from nixgen.project.project import read_toml

LOCK = "Cargo.lock"
_MANIFEST = "Cargo.toml"
_TABLES = ("dependencies", "build-dependencies", "dev-dependencies")


def manifests(root: Path, path: str, pyproject: Mapping[str, Any]) -> list[str]:
    """The folders of crates that a package in the folder ``path`` is built with, as far as its settings tell."""
    named = [lookup(pyproject, "tool", "maturin", "manifest-path")]
    for key in ("ext-modules", "bins"):
        named += [one.get("path") for one in tables(table(pyproject, "tool", "setuptools-rust").get(key))]
    paths = [_MANIFEST, *(name for name in named if isinstance(name, str))]
    folders = [posixpath.dirname(posixpath.normpath(posixpath.join(path, name))) or "." for name in paths]
    return [folder for folder in dict.fromkeys(folders) if _read(root, folder)]


def around(root: Path, path: str, crates: list[str]) -> tuple[str, tuple[str, ...]]:
    """The nearest folder that holds a package, its ``crates`` and all that these need, and their Cargo.lock files.

    What leads out of the project is left to cargo to name.
    """
    reached: set[str] = set()
    open_ = list(crates)
    while open_:
        folder = open_.pop()
        if folder not in reached:
            reached.add(folder)
            open_ += [other for other in _near(root, folder) if _read(root, other)]
    top = posixpath.commonpath([f"/{posixpath.normpath(one)}/" for one in (path, *reached)]).strip("/")
    locks = sorted({posixpath.normpath(f"{folder}/{LOCK}") for folder in (path, *reached)})
    return top or ".", tuple(lock for lock in locks if (root / lock).is_file())


def _near(root: Path, folder: str) -> Iterator[str]:
    """The folders of a crate's workspace and path dependencies."""
    said = _read(root, folder)
    places = [lookup(said, "package", "workspace")]
    for one in (said, table(said, "workspace"), *table(said, "target").values()):
        for key in _TABLES:
            places += [lookup(entry, "path") for entry in table(one, key).values()]
    for patched in table(said, "patch").values():
        places += [lookup(entry, "path") for entry in table(patched).values()]
    yield from (posixpath.normpath(posixpath.join(folder, place)) for place in places if isinstance(place, str))
    above = folder
    while "workspace" not in _read(root, above) and above not in {"", "."}:
        above = posixpath.dirname(above) or "."
        if "workspace" in _read(root, above):
            yield above


def _read(root: Path, folder: str) -> Mapping[str, Any]:
    """A Cargo.toml of the project, empty where there is none; cargo says what is wrong with one."""
    if posixpath.normpath(folder).startswith(("/", "..")) or not (root / folder / _MANIFEST).is_file():
        return {}
    try:
        return read_toml(root / folder / _MANIFEST, f"{folder}/{_MANIFEST}")
    except UserError:
        return {}
