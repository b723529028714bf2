"""The stamp: what lets the next check hash nothing, and when it counts."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat as modes
import time
from collections.abc import Mapping, Sequence

from .fields import DIGITS
from .folder import Untrusted, check_owner, open_folder
from .model import VERSION, Tree
from .scan import Entry

STAMP_AGE = 24 * 3600.0
"""Seconds after which a stamp counts no more."""

SETTLED = 2_000_000_000
"""Nanoseconds for which a file must have been left alone before it is stamped.

The kernel keeps times no finer than its clock tick (file systems: up to 2 s), so that two changes within one tick look
like one."""

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_HEAD = b'{"version": %d, "boot": "' % VERSION  # of every stamp


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
            stamp = json.loads(self._read(os.path.basename(path)))
            then, now = float(stamp["clock"]), _clock()
            known = {key: tuple(value) for key, value in stamp["files"].items()}
            version, boot = stamp["version"], stamp["boot"]
        except FileNotFoundError:
            return "none yet"
        except Untrusted as error:
            return f"not trusted: {error}"
        except OSError as error:
            return f"not trusted: {path}: {error.strerror}"
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
            return f"not trusted: {path} is not a stamp"
        current = {_key(trees, entry.tree, entry.file.path): entry.identity for entry in entries}
        reasons = (
            (not boot or version != VERSION or boot != boot_id(), "of another boot"),
            (not 0 <= now - then <= self._age, "too old"),
            (current != known, "of other files"),
        )
        return next((reason for holds, reason in reasons if holds), "")

    def _read(self, name: str) -> bytes:
        """The stamp's bytes; raises Untrusted when somebody else may have written them."""
        folder = open_folder(self.folder)
        try:
            descriptor = os.open(name, _READ, dir_fd=folder)
        finally:
            os.close(folder)
        with open(descriptor, "rb") as file:
            there, path = os.fstat(descriptor), os.path.join(self.folder, name)
            if not modes.S_ISREG(there.st_mode) or there.st_nlink != 1:
                raise Untrusted(f"{path} is not a file with one name")
            check_owner(path, there)
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
            return "not written: this boot has no ID"
        if any(max(identity[-2:]) > clock - self._settled for identity in identities.values()):
            return "not written: a file is newer than 2 s"
        files = {
            _key(trees, tree, file.path): identities[tree.folder, file.path] for tree in trees for file in tree.files
        }
        stamp = {"version": VERSION, "boot": boot, "clock": _clock(), "files": files}
        name = os.path.basename(self.path(trees, nix=nix))
        try:
            folder = open_folder(self.folder, make=True)
            try:
                _replace(folder, name, json.dumps(stamp))
                self._tidy(folder, name)
            finally:
                os.close(folder)
        except Untrusted as error:
            return f"not written: {error}"
        except OSError as error:
            return f"not written: {self.folder}: {error.strerror}"
        return "written"

    def _tidy(self, folder: int, latest: str) -> None:
        """Removes stamps of this user that are too old to count: those of earlier locks."""
        with os.scandir(folder) as listing:
            for name in [item.name for item in listing if item.name != latest and _is_name(item.name)]:
                with contextlib.suppress(OSError):
                    there, head = _looked_at(folder, name)
                    own = there.st_uid == os.geteuid() and there.st_nlink == 1 and modes.S_ISREG(there.st_mode)
                    if own and head.startswith(_HEAD) and time.time() - there.st_mtime > self._age:
                        os.unlink(name, dir_fd=folder)


def _replace(folder: int, name: str, text: str) -> None:
    """Writes a file of the folder whole, or not at all."""
    beside = f"{name}.{os.urandom(8).hex()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with open(os.open(beside, flags, 0o600, dir_fd=folder), "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(beside, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside, dir_fd=folder)
        raise


def _is_name(name: str) -> bool:
    """Whether a stamp has such a name, or what is left of one whose writer was killed."""
    digest, dot, rest = name.partition(".")
    return len(digest) == 64 and DIGITS.issuperset(digest) and f"{dot}{rest}.".startswith(".json.")  # noqa: PLR2004


def _looked_at(folder: int, name: str) -> tuple[os.stat_result, bytes]:
    descriptor = os.open(name, _READ, dir_fd=folder)
    try:
        there = os.fstat(descriptor)
        return there, os.read(descriptor, len(_HEAD)) if modes.S_ISREG(there.st_mode) else b""
    finally:
        os.close(descriptor)


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
