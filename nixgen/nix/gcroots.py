"""Folders for links that keep store paths from garbage collection while a command runs, and no longer.

A folder belongs to who holds the kernel's lock on it. So what a command that was killed has left is known, and the next
one removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from nixgen.machine import folders


def place() -> Path:
    """Where they lie: $XDG_CACHE_HOME/nixgen/roots, else below ~/.cache."""
    return folders.cache("roots")


@contextlib.contextmanager
def temporary() -> Iterator[Path]:
    """A folder of this process, removed when the block ends; those of processes that are gone are removed first.

    Where this user's cache cannot be written, it is one of the system's temporary folders.
    """
    with contextlib.ExitStack() as stack:
        folder = _own(stack)
        if folder is None:
            yield Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nixgen-roots-")))
            return
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _own(stack: contextlib.ExitStack) -> Path | None:
    above = place()
    try:
        above.mkdir(parents=True, exist_ok=True)
        # Whoever makes or removes folders holds the lock of the one above, so that none is removed before it is locked.
        with _locked(above, wait=True):
            for other in above.iterdir():
                _remove_abandoned(other)
            folder = Path(tempfile.mkdtemp(dir=above))
            stack.enter_context(_locked(folder, wait=True))
    except OSError:
        return None
    return folder


def _remove_abandoned(folder: Path) -> None:
    try:
        with _locked(folder, wait=False):
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return  # somebody holds it, or it is gone


@contextlib.contextmanager
def _locked(folder: Path, *, wait: bool) -> Iterator[None]:
    """The lock of a folder. Raises BlockingIOError where another process has it, and none is to be waited for."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)
