"""Whether a later write to a file will move its ctime, also one through a memory mapping."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

MEMORY = frozenset({"tmpfs", "ramfs", "rootfs", "devtmpfs", "hugetlbfs"})
"""File systems that note no time for a write through a mapping."""

_DISKS = frozenset({"ext2", "ext3", "ext4", "xfs"})  # where sync_file_range(2) reaches the file's own pages
_WHOLE = 7  # its flags: wait for what is being written, write what is dirty, wait for that


class Writeback:
    """Writes back what is dirty of files.

    A page that is dirty can be written through a mapping again, and nothing shows it; the first write to a clean page
    moves the ctime. fsync(2) would do for all of them, but makes the disk flush its cache for each file: 1.5 s for a
    thousand small files, where sync_file_range(2) takes 5 ms.
    """

    def __init__(self) -> None:
        self._kinds = _kinds()
        self._range: Callable[[int], int] | None = _sync_file_range() if self._kinds else None

    def problem(self, descriptor: int) -> str:
        """Why a later write to this file may not move its ctime; empty where it will."""
        kind = self._kinds.get(os.fstat(descriptor).st_dev, "")
        if kind in MEMORY:
            return f"a file is in memory ({kind})"
        if kind in _DISKS and self._range is not None:
            return "" if self._range(descriptor) == 0 else "a file cannot be written back"
        try:
            os.fsync(descriptor)
        except OSError as error:
            # A file system that cannot be written has nothing to write back.
            return "" if error.errno in {errno.EINVAL, errno.EROFS} else "a file cannot be written back"
        return ""


def _kinds() -> dict[int, str]:
    """The kinds of the mounted file systems by their device, as proc(5)'s mountinfo has them; none but on Linux."""
    found = {}
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                fields, _, rest = line.partition(" - ")
                major, _, minor = fields.split()[2].partition(":")
                found[os.makedev(int(major), int(minor))] = rest.partition(" ")[0]
    except (OSError, ValueError, IndexError):
        return {}
    return found


def _sync_file_range() -> Callable[[int], int] | None:
    try:
        import ctypes

        function: Any = ctypes.CDLL(None).sync_file_range
    except (ImportError, OSError, AttributeError):
        return None
    zero = ctypes.c_int64(0)
    return lambda descriptor: int(function(descriptor, zero, zero, _WHOLE))
