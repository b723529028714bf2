"""The stamp: what lets the next check hash nothing, and when it counts."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat as modes
import time
from collections.abc import Mapping, Sequence

from .model import VERSION, Tree
from .scan import Entry

STAMP_AGE = 24 * 3600.0
"""Seconds after which a stamp counts no more."""

SETTLED = 2_000_000_000
"""Nanoseconds for which a file must have been left alone before it is stamped.

The kernel keeps times no finer than its clock tick (file systems: up to 2 s), so that two changes within one tick look
like one."""


class Stamp:
    """Where a check that found nothing leaves what identified every file, so that the next need not hash them.

    It counts in the same boot, for the same expected files and ``age`` seconds of the boot's own clock, when device,
    inode, size, mtime and ctime of every file are as they were. A ctime cannot be set; only who can set the machine's
    clock, or write to its disks directly, gets around it. It is trusted only where nobody but this user and root may
    write, up to the root of the file system. ``settled`` is for tests; see :data:`SETTLED`.
    """

    def __init__(self, folder: str, age: float = STAMP_AGE, settled: int = SETTLED) -> None:
        self.folder = os.path.abspath(folder)
        self._age = age
        self._settled = settled

    def path(self, trees: Sequence[Tree], *, nix: bool) -> str:
        """The stamp's file: its name is the SHA-256 of all that is expected, and of what is asked about it."""
        expected = json.dumps([VERSION, nix, *trees]).encode()
        return os.path.join(self.folder, f"{hashlib.sha256(expected).hexdigest()}.json")

    def why_stale(self, trees: Sequence[Tree], entries: Sequence[Entry], *, nix: bool) -> str:
        """Why the stamp does not count, in words; empty when it does, and every file is as it was."""
        path = self.path(trees, nix=nix)
        try:
            stamp = json.loads(self._read(path))
            then, now = float(stamp["clock"]), _clock()
            known = {key: tuple(value) for key, value in stamp["files"].items()}
            version, boot = stamp["version"], stamp["boot"]
        except FileNotFoundError:
            return "none yet"
        except _Untrusted as error:
            return f"not trusted: {error}"
        except OSError as error:
            return f"not trusted: {path}: {error.strerror}"
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return f"not trusted: {path} is not a stamp"
        current = {_key(trees, entry.tree, entry.file.path): entry.identity for entry in entries}
        reasons = (
            (not boot or version != VERSION or boot != boot_id(), "of another boot"),
            (not 0 <= now - then <= self._age, "too old"),
            (current != known, "of other files"),
        )
        return next((reason for holds, reason in reasons if holds), "")

    def _read(self, path: str) -> bytes:
        """The stamp's bytes; raises _Untrusted when somebody else may have written them."""
        _check_folder(self.folder)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            there = os.fstat(descriptor)
            if not modes.S_ISREG(there.st_mode) or there.st_nlink != 1:
                raise _Untrusted(f"{path} is not a file with one name")
            _check_owner(path, there)
            return file.read()

    def write(
        self,
        trees: Sequence[Tree],
        identities: Mapping[tuple[str, str], tuple[int, ...]],
        clock: int,
        *,
        nix: bool,
    ) -> str:
        """Leaves a stamp; what came of it, in words. ``clock`` is the time in nanoseconds when the check began."""
        boot = boot_id()
        if not boot:
            return "not written: this boot cannot be told from others"
        if any(max(identity[-2:]) > clock - self._settled for identity in identities.values()):
            return "not written: a file is newer than 2 s"
        files = {
            _key(trees, tree, file.path): identities[tree.folder, file.path] for tree in trees for file in tree.files
        }
        stamp = {"version": VERSION, "boot": boot, "clock": _clock(), "files": files}
        path = self.path(trees, nix=nix)
        beside = f"{path}.{os.getpid()}"
        try:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            _check_folder(self.folder)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(beside)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            with open(os.open(beside, flags, 0o600), "w", encoding="utf-8") as file:
                json.dump(stamp, file)
            os.replace(beside, path)
            self._tidy(path)
        except _Untrusted as error:
            return f"not written: {error}"
        except OSError as error:
            return f"not written: {self.folder}: {error.strerror}"
        return "written"

    def _tidy(self, own: str) -> None:
        """Removes stamps that are too old to count: those of earlier locks."""
        with os.scandir(self.folder) as listing:
            for item in listing:
                if item.path != own and time.time() - item.stat(follow_symlinks=False).st_mtime > self._age:
                    with contextlib.suppress(OSError):
                        os.unlink(item.path)


def default_stamps() -> str | None:
    """The folder for stamps of this user: $XDG_STATE_HOME/nixgen/stamps; None where there is no home."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(state, "nixgen", "stamps") if os.path.isabs(state) else None


def boot_id() -> str:
    """What tells this boot from all others: Linux's random(4) boot_id, macOS's kern.bootsessionuuid; or empty."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        pass
    import ctypes

    by_name = getattr(ctypes.CDLL(None), "sysctlbyname", None)
    buffer = ctypes.create_string_buffer(64)
    size = ctypes.c_size_t(len(buffer))
    if by_name is None or by_name(b"kern.bootsessionuuid", buffer, ctypes.byref(size), None, 0):
        return ""
    return buffer.value.decode("ascii", "replace")


def _clock() -> float:
    """Seconds since the boot, suspended ones included: no program can set it."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _key(trees: Sequence[Tree], tree: Tree, path: str) -> str:
    return f"{trees.index(tree)}:{path}"


class _Untrusted(Exception):  # noqa: N818 - not an error to a caller: the stamp does not count
    """Somebody else may have written the stamp; says how."""


def _check_folder(folder: str) -> None:
    """Raises _Untrusted when others than this user and root may put a file there, or move what is above it."""
    inner = place = os.path.realpath(folder)
    while True:
        there = os.lstat(place)
        # In a folder like /tmp only the owner can move what is in it.
        sticky = bool(there.st_mode & modes.S_ISVTX) and place != inner
        _check_owner(place, there, writable=not sticky)
        if place == os.path.dirname(place):
            return
        place = os.path.dirname(place)


def _check_owner(path: str, there: os.stat_result, *, writable: bool = True) -> None:
    if there.st_uid not in {0, os.geteuid()}:
        raise _Untrusted(f"{path} belongs to another user")
    if writable and there.st_mode & (modes.S_IWGRP | modes.S_IWOTH):
        raise _Untrusted(f"others may write {path}")
