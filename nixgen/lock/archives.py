"""Where else the files of a project are, from its settings and locks: its archives, and Debian's snapshots."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from nixgen.archive.taking import Archives
from nixgen.bases.debian.sources import snapshots
from nixgen.bases.model import Base, DebianBase
from nixgen.lock.model import Lock
from nixgen.machine import files
from nixgen.project.project import Project

_SIZED = re.compile(r'hash = "sha256:([0-9a-f]{64})", size = ([0-9]{1,15})\b')


def archives(project: Project, base: Base | None, lock: Lock | None = None) -> Archives:
    """What helps where an address fails; ``lock`` has the sizes of models and data."""
    found = dict(_sizes(project))
    stamps: tuple[str, ...] = ()
    if isinstance(base, DebianBase):
        stamps = base.snapshots
        found |= {deb.sha256: deb.size for deb in base.debs}
    found |= artifact_sizes(lock)
    addresses = tuple(_whole(project, address) for address in project.settings.archive)
    return Archives(addresses, snapshots(stamps, os.environ.get("NIXGEN_SNAPSHOT", "")), found)


def artifact_sizes(lock: Lock | None) -> Mapping[str, int]:
    """The SHA-256 of every file of models and data, with its size."""
    artifacts = lock.artifacts if lock is not None else ()
    return {file.sha256: file.size for artifact in artifacts for file in artifact.files}


def _whole(project: Project, address: str) -> str:
    """A folder's path is relative to the project, as everything in its pyproject.toml."""
    return address if "://" in address else str(project.root / address)


def _sizes(project: Project) -> Mapping[str, int]:
    """Those of uv.lock, by hash."""
    text = (files.read(project.root, project.lock) or b"").decode("utf-8", "replace")
    return {sha256: int(size) for sha256, size in _SIZED.findall(text)}
