"""A log in a folder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from nixgen.console import console
from nixgen.errors import MachineError
from nixgen.log.stores.model import CHUNK, LONGEST, first
from nixgen.machine import files

_FULL = {errno.ENOSPC, errno.EDQUOT}
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class Folder:
    """A folder of this machine, or one that it mounts. Files are written beside themselves, synced, then renamed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def where(self) -> str:
        """The folder."""
        return str(self.folder)

    def read(self, name: str, limit: int = LONGEST) -> bytes | None:
        """See :class:`Storage`, as for the rest."""
        with self.stream(name) as pieces:
            return first(pieces, limit)

    @contextlib.contextmanager
    def stream(self, name: str) -> Iterator[Iterator[bytes] | None]:
        """A pipe or a device is no file: it might be read for ever."""
        try:
            opened = os.open(self.folder / name, _FLAGS)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            yield None
            return
        except OSError as error:
            raise self.failed(name, "read", error) from None
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            os.close(opened)
            yield None
            return
        with os.fdopen(opened, "rb", buffering=0) as file:
            try:
                yield iter(lambda: file.read(CHUNK), b"")
            except OSError as error:
                raise self.failed(name, "read", error) from None

    def write(self, name: str, data: bytes) -> None:
        """Written whole, or not at all."""
        with self.written(name, (data,)) as (made, target):
            made.replace(target)

    def create(self, name: str, data: bytes) -> bool:
        """A second name is given to a finished file, which fails where there is one."""
        with self.written(name, (data,)) as (made, target):
            try:
                os.link(made, target)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                return _opened_anew(target, data)
        return True

    def replace(self, name: str, data: bytes, old: bytes) -> bool:
        """Compared and written under a lock."""
        with self._locked("swap"):
            if self.read(name, len(old) + 1) != old:
                return False
            self.write(name, data)
        return True

    def remove(self, name: str) -> None:
        """What cannot be removed stays."""
        import shutil

        target = self.folder / name
        with contextlib.suppress(OSError):
            if target.is_dir():
                shutil.rmtree(target)
            else:
                target.unlink()

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Waits for others."""
        with self._locked("lock", f"Another nixgen appends to {self.folder}: waiting for it to end."):
            yield

    @contextlib.contextmanager
    def _locked(self, name: str, told: str = "") -> Iterator[None]:
        """The kernel's lock on a file of the folder, which goes with the process. Some file systems know none."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.folder / f".{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise self.failed(f".{name}", "written", error) from None
        try:
            with contextlib.suppress(OSError):
                _flock(lock, told)
            yield
        finally:
            os.close(lock)

    @contextlib.contextmanager
    def written(self, name: str, pieces: Iterable[bytes]) -> Iterator[tuple[Path, Path]]:
        """A finished file beside ``name``, which is gone afterwards, and the file's own place."""
        target = self.folder / name
        made = None
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, text = tempfile.mkstemp(prefix=".", suffix=".new", dir=target.parent)
            made = Path(text)
            with os.fdopen(handle, "wb") as file:
                os.fchmod(handle, 0o644)
                for piece in pieces:
                    file.write(piece)
                file.flush()
                os.fsync(handle)
            yield made, target
            files.sync_folder(target.parent)
        except OSError as error:
            raise self.failed(name, "written", error) from None
        finally:
            if made is not None:
                with contextlib.suppress(OSError):
                    made.unlink()

    def failed(self, name: str, what: str, error: OSError) -> MachineError:
        """The error for a file that cannot be read or written."""
        if error.errno in _FULL:
            return MachineError.of(self.where, "the disk is full", "free some room and try again")
        return MachineError.of(
            str(self.folder / name), f"cannot be {what}: {error.strerror}", "check the folder and its permissions"
        )


def _flock(lock: int, told: str) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if told:
            console.info(told)
        fcntl.flock(lock, fcntl.LOCK_EX)


def _opened_anew(target: Path, data: bytes) -> bool:
    """Writes a new file where a file system knows no links; half of it is seen by who reads at once."""
    try:
        with target.open("xb") as file:
            file.write(data)
    except FileExistsError:
        return False
    return True
