"""What a rebuild leaves in the store and beside it, and its removal: also of what was left by a run that was killed.

Each call writes Nix's log into a file of a folder of ours. The log names what is left; so when nixgen is killed, and
the call goes on without it, the next run still finds out what there is to remove.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from nixgen import errors
from nixgen.check import recheck
from nixgen.check.model import Recipe
from nixgen.console import console
from nixgen.machine import folders
from nixgen.nix import stores

if TYPE_CHECKING:
    from nixgen.nix.tools import Nix

_LOG = ".log"
_FORGOTTEN = 14 * 24 * 3600  # seconds
_DYING = 10.0  # seconds that the last process of a build that was ended may hold its lock


def folder() -> Path:
    """Where logs of rebuilds lie while they run: $XDG_CACHE_HOME/nixgen/rebuild, else below ~/.cache."""
    return folders.cache("rebuild")


@contextlib.contextmanager
def alone(announce: Callable[[str], None]) -> Iterator[int]:
    """Keeps other rebuilds of this user out, and removes what one that was killed has left; gives the lock.

    Whoever inherits the lock's descriptor holds it, too: a call of Nix that goes on after nixgen was killed.
    """
    place = folder()
    try:
        place.mkdir(parents=True, exist_ok=True)
        lock = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise errors.MachineError.of(str(place), f"cannot be used: {error.strerror}") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            announce("Another rebuild is under way: waiting for it to end.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        _clear(place)
        yield lock
    finally:
        os.close(lock)


def sweep() -> None:
    """Removes what a rebuild that was killed has left; does nothing while one is under way."""
    place = folder()
    if not any(place.glob(f"*{_LOG}")):
        return
    lock = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _clear(place)
    except BlockingIOError:
        console.detail("a rebuild is under way")
    finally:
        os.close(lock)


def _clear(place: Path) -> None:
    for log in sorted(place.glob(f"*{_LOG}")):
        _abandoned(log)


@dataclass(slots=True)
class Call:
    """One call: what it rebuilds, and the file that Nix's log goes to."""

    nix: Nix
    recipe: Recipe
    log: Path
    locked_before: bool

    @classmethod
    def begin(cls, nix: Nix, recipe: Recipe) -> Call:
        """Notes that a call begins, so that its leftovers are found whatever happens."""
        log = folder() / f"{Path(recipe.drv).name}{_LOG}"
        head = {"drv": recipe.drv, "out": recipe.out, "store": nix.store, "place": _place(nix, recipe.out)}
        try:
            log.write_text(json.dumps(head) + "\n", encoding="utf-8")
        except OSError as error:
            raise errors.MachineError.of(str(log), f"cannot be written: {error.strerror}") from None
        return cls(nix, recipe, log, _exists(_beside(nix, recipe.out, ".lock")))

    def append(self) -> BinaryIO:
        """The log, for Nix to write to."""
        return self.log.open("ab")

    def said(self) -> recheck.Said:
        """What Nix has said so far."""
        return recheck.read(self.log.read_text(encoding="utf-8", errors="replace"), self.recipe.drv)

    def other(self) -> Path | None:
        """The output of this build, where it lies on this machine."""
        path = _beside(self.nix, self.recipe.out, ".check")
        return path if path is not None and os.path.lexists(path) else None

    def end(self, *, killed: bool = False) -> None:
        """Removes all that the call has left. ``killed`` says that Nix could not clean up after itself."""
        said = self.said()
        with _nix_lock(self.nix, self.recipe.out, remove=not self.locked_before or killed) as free:
            if free:
                _remove_output(self.nix, self.recipe.out, remote=said.other_bytes)
                # Whoever builds holds the lock: this is what a build left that was ended while it was set up.
                if (chroot := _beside(self.nix, self.recipe.drv, ".chroot")) is not None:
                    remove(chroot)
        for kept in said.kept:
            if not remove(recheck.build_folder(kept)):
                console.info(f"Nix has kept the folder of a build, which only its daemon's user can remove: {kept}")
        self.log.unlink(missing_ok=True)


def _abandoned(log: Path) -> None:
    """Ends a call whose nixgen was killed."""
    from nixgen.nix.tools import Nix

    try:
        head = json.loads(log.read_text(encoding="utf-8", errors="replace").partition("\n")[0])
        call = Call(Nix.here(head["store"]), Recipe(head["drv"], head["out"]), log, locked_before=False)
        elsewhere = head["place"] != _place(call.nix, call.recipe.out)
    except (ValueError, KeyError, TypeError):  # killed before it was written
        log.unlink(missing_ok=True)
        return
    if elsewhere and time.time() - log.stat().st_mtime < _FORGOTTEN:
        return  # of a store that is not here now: another container's, with the same home
    console.detail(f"removes what an interrupted rebuild of {call.recipe.out} left")
    call.end(killed=True)


def _place(nix: Nix, path: str) -> list[int] | None:
    """What tells one store's folder from another's."""
    place = nix.physical(path)
    try:
        status = place.parent.stat() if place is not None else None
    except OSError:
        return None
    return None if status is None else [status.st_dev, status.st_ino]


def _beside(nix: Nix, path: str, suffix: str) -> Path | None:
    place = nix.physical(path)
    return None if place is None else place.with_name(place.name + suffix)


def _exists(path: Path | None) -> bool:
    return path is not None and os.path.lexists(path)


def _remove_output(nix: Nix, out: str, *, remote: bool) -> None:
    """Removes OUT.check: by hand where the store is this user's, else Nix does (its daemon does it for anybody)."""
    path = _beside(nix, out, ".check")
    if (path is None and remote) or (path is not None and os.path.lexists(path) and not remove(path)):
        try:
            nix.run("nix-store", "--delete", f"{out}.check")
        except errors.MachineError as error:
            console.warn(f"{out}.check is left in the store: {error.problems[0].what}")


def remove_build_folder(nix: Nix, pid: int) -> None:
    """Removes the folder that a Nix of this process built in, which did not end by itself (nix.conf(5), build-dir)."""
    try:
        place = nix.settings().get("build-dir") or stores.state() / "builds"
    except errors.MachineError:
        return
    for path in Path(str(place)).glob(f"nix-{pid}-*"):
        remove(path)


def remove(path: Path) -> bool:
    """Removes a file or folder, read-only folders, too; whether it is gone now."""
    if not os.path.lexists(path):
        return True
    with contextlib.suppress(OSError):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
        else:
            path.chmod(stat.S_IRWXU)
            for place, folders, _ in os.walk(path):
                for name in folders:
                    entry = Path(place, name)
                    if not entry.is_symlink():
                        entry.chmod(stat.S_IRWXU)
            shutil.rmtree(path)
    return not os.path.lexists(path)


def _locked(lock: int) -> bool:
    """Whether the lock could be had: a builder that was killed while it was started holds it until it is gone."""
    until = time.monotonic() + _DYING
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        else:
            return True


@contextlib.contextmanager
def _nix_lock(nix: Nix, out: str, *, remove: bool) -> Iterator[bool]:
    """Nix's own lock on an output, so that nothing is removed that another Nix is making; whether nobody has it.

    What holds the file is told that it is stale by a byte in it (src/libstore/pathlocks.cc, deleteLockFile).
    """
    path = _beside(nix, out, ".lock")
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC) if path is not None else -1
    except OSError:  # there is none, or it is the daemon's
        lock = -1
    if path is None or lock < 0:
        yield True
        return
    try:
        if not _locked(lock):
            yield False
            return
        try:
            yield True
        finally:
            if remove:
                with contextlib.suppress(OSError):
                    path.unlink()
                    os.write(lock, b"d")
    finally:
        os.close(lock)
