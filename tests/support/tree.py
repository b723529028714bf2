"""Folders of files that are pinned, for tests of the guard."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nixgen import guard
from nixgen.guard import writeback

BASE = {
    "kind": "nixpkgs",
    "name": "nixos-26.05",
    "rev": "0" * 40,
    "narHash": "sha256-" + "A" * 43 + "=",
    "lastModified": 1,
    "glibc": "2.40",
    "python": "3.13",
    "libraries": [],
    "tools": [],
}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def rows(files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """The files as a lock or manifest lists them."""
    return [{"path": path, "size": len(data), "sha256": sha256(data)} for path, data in files.items()]


def fill(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Writes the files into a folder, which is made."""
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def tree(folder: Path, files: Mapping[str, bytes], name: str = "models.m") -> guard.Tree:
    """What a folder with exactly these files must hold; it is not written."""
    return guard.Tree(
        name, str(folder), tuple(sorted(guard.File(r["path"], r["size"], r["sha256"]) for r in rows(files)))
    )


def manifest(folder: Path, files: Mapping[str, bytes], name: str = "models.m") -> str:
    """The same as the JSON that the guard reads."""
    return json.dumps({"version": 1, "trees": [{"name": name, "path": str(folder), "files": rows(files)}]})


def lock(**artifacts: Mapping[str, Any]) -> str:
    """A nixgen.lock with these artifacts: ``models__minilm={"files": rows(…)}``; what is not given has a value."""
    document: dict[str, Any] = {"version": 1, "base": BASE, "hashes": {}}
    for key, entry in artifacts.items():
        kind, _, name = key.partition("__")
        filled = {"source": "https://models.example.org/", "scheme": "https", "layout": ["plain"], **entry}
        document.setdefault(kind, {})[name] = filled
    return json.dumps(document)


def in_memory(folder: Path) -> bool:
    """Whether files in this folder are never stamped: /tmp is a tmpfs on some machines."""
    found = writeback._kinds().get(folder.stat().st_dev)
    return found in writeback.MEMORY


def problems(report: guard.Report) -> list[tuple[str, str]]:
    """The findings, as pairs of path and problem."""
    return [(found.path, found.problem) for found in report.findings]


def copied(folder: Path) -> Path:
    """A copy of the guard in a folder, as ``guard``, without the rest of nixgen."""
    shutil.copytree(Path(guard.__file__).parent, folder / "guard", ignore=shutil.ignore_patterns("__pycache__"))
    return folder / "guard"


def flip(path: Path, offset: int, bit: int = 0) -> None:
    """Flips one bit of a file, and puts its times back as they were, as far as that can be done."""
    there = path.stat()
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << bit
    mode = there.st_mode
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(mode)
    os.utime(path, ns=(there.st_atime_ns, there.st_mtime_ns))
