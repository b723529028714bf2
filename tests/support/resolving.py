"""A project, resolved for one target."""

from __future__ import annotations

from pathlib import Path

from nixgen.project import uvlock
from nixgen.project.project import Project, find_project
from nixgen.resolve import graph
from nixgen.resolve.model import FileHash, Resolution, Target
from nixgen.resolve.resolution import resolve

LINUX = Target("x86_64-linux", "3.11")


def resolved(root: Path, *wanted: Target, glibc: str = "2.36", hashes: dict[str, FileHash] | None = None) -> Resolution:
    (found,) = resolve(find_project(root), wanted or (LINUX,), glibc, hashes or {})
    return found


def walked(project: Project, target: Target) -> dict[str, str | None]:
    """What a walk over uv.lock's graph reaches for a target, but for projects that are no packages."""
    read = graph.read(project)
    places = {place for place, part in graph.Walk(project, read, target).came if part[0] != "group"}
    virtual = {block["name"] for block in uvlock.packages(project.lock_text()) if "virtual" in block["source"]}
    return {node.name: node.version for node in (read.nodes[place] for place in places) if node.name not in virtual}
