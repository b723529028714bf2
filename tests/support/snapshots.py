"""Small snapshots of a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from datafiles import write

from nixgen.data import snapshot
from nixgen.data.snapshot import Snapshot


def taken(folder: Path, files: Mapping[str, str | bytes], name: str = "") -> Snapshot:
    write(folder, files)
    return snapshot.read(*snapshot.of_path(folder, name or folder.name))
