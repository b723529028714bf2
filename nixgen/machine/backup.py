"""Files that lie where nixgen needs a folder: which they are, and how they make room for it and come back."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath


def in_place_of_folders(root: Path, paths: Iterable[str]) -> tuple[str, ...]:
    """The files and dead links that stand where ``paths`` (relative to ``root``) need a folder, sorted."""
    parents = {str(parent) for path in paths for parent in PurePosixPath(path).parents[:-1]}
    return tuple(sorted(name for name in parents if os.path.lexists(root / name) and not (root / name).is_dir()))


@contextlib.contextmanager
def put_aside(root: Path, names: Iterable[str]) -> Iterator[None]:
    """Takes these files out of the way while the block runs: removed when it is done, put back when it fails."""
    moved: list[tuple[Path, Path]] = []
    try:
        for name in names:
            place = root / name
            beside = place.with_name(f"{place.name}.aside-{os.getpid()}")  # what a kill leaves is to be found
            moved.append((place, beside))
            place.rename(beside)
        yield
    except BaseException:
        for place, beside in moved:
            with contextlib.suppress(OSError):
                beside.rename(place)
        raise
    for _, beside in moved:
        beside.unlink()
