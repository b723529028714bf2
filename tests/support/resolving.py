"""A project, resolved for one target."""

from __future__ import annotations

from pathlib import Path

from nixgen.project.project import find_project
from nixgen.resolve.model import FileHash, Resolution, Target
from nixgen.resolve.resolution import resolve

LINUX = Target("x86_64-linux", "3.11")


def resolved(root: Path, *wanted: Target, glibc: str = "2.36", hashes: dict[str, FileHash] | None = None) -> Resolution:
    (found,) = resolve(find_project(root), wanted or (LINUX,), glibc, hashes or {})
    return found
