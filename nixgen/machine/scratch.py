"""Folders that one process works in, and that the next one removes where that one was killed.

A folder belongs to who holds the kernel's lock on it, wherever that process runs.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX, _SUFFIX = ".nixgen-", ".new"


@contextlib.contextmanager
def folder(above: Path) -> Iterator[Path]:
    """A new folder in ``above``, for its owner alone, removed when the block ends; to keep it, rename it.

    Those of processes that are gone are removed first. Raises OSError where none can be made.
    """
    above.mkdir(parents=True, exist_ok=True)
    for other in above.glob(f"{_PREFIX}*{_SUFFIX}"):
        _remove_abandoned(other)
    with contextlib.ExitStack() as stack:
        while True:
            made = Path(tempfile.mkdtemp(prefix=_PREFIX, suffix=_SUFFIX, dir=above))
            with contextlib.suppress(OSError):  # some file systems know no locks: there, nobody removes it either
                stack.enter_context(_locked(made, wait=True))
            if made.is_dir():
                break  # else another process came between these two lines
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)


def is_held(place: Path) -> bool:
    """Whether a process works in such a folder; also where that cannot be found out."""
    try:
        with _locked(place, wait=False):
            return False
    except OSError:
        return True


def is_alive(process: int) -> bool:
    """Whether there is a process with this id: for what is named after the process that made it."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _remove_abandoned(place: Path) -> None:
    with contextlib.suppress(OSError), _locked(place, wait=False):  # somebody holds it, or it is gone
        shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def _locked(place: Path, *, wait: bool) -> Iterator[None]:
    """The lock of a folder. Raises BlockingIOError where another process has it, and none is to be waited for."""
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)
