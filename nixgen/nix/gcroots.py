"""Folders for links that keep store paths from garbage collection while a command runs, and no longer."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from nixgen.machine import folders, scratch


def place() -> Path:
    """Where they lie: $XDG_CACHE_HOME/nixgen/roots, else below ~/.cache."""
    return folders.cache("roots")


@contextlib.contextmanager
def temporary() -> Iterator[Path]:
    """A folder of this process, removed when the block ends; those of processes that are gone are removed first.

    Where this user's cache cannot be written, it is one of the system's temporary folders.
    """
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(scratch.folder(place()))
        except OSError:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nixgen-roots-")))
        yield folder
