"""Writing into a user's project: all files or none, never half a file, never two runs at once.

A write first puts every new file beside the old one under a temporary name, then renames them all. Until the first
rename the project is untouched; a full disk shows before it. A kill leaves each file either old or new, and the
temporary files that it leaves are removed by the next run.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nixgen.errors import MachineError, NixgenError, UserError

HEADER = "Written by nixgen"
TEMPORARY = ".nixgen-tmp"
_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_held: set[Path] = set()
_changed: list[str] = []


def changed() -> bool:
    """Whether this process has changed a file of a project, or may have."""
    return bool(_changed)


def note_change(path: str) -> None:
    """Another program is about to write ``path`` for us."""
    _changed.append(path)


def written_by_nixgen(data: bytes) -> bool:
    """Whether a file's first line says that nixgen wrote it."""
    return HEADER.encode() in data.partition(b"\n")[0]


@contextlib.contextmanager
def exclusive(root: Path, announce: Callable[[str], None]) -> Iterator[None]:
    """Keeps other nixgen processes out of the project ``root`` until the block ends.

    Waits for a run that is under way, after one call of ``announce`` with a sentence that says so. May be nested
    within a process. The lock is the kernel's, on the folder itself: nothing is left behind, even by a kill. File
    systems that know no such lock go without.
    """
    root = root.resolve()
    if root in _held:
        yield
        return
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                announce(f"Another nixgen is at work in {root}: waiting for it to end.")
                fcntl.flock(folder, fcntl.LOCK_EX)
        _held.add(root)
        yield
    finally:
        _held.discard(root)
        os.close(folder)


def read(root: Path, relative: str) -> bytes | None:
    """The bytes of a file of the project, or None where there is none."""
    try:
        return (root / relative).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        raise UserError.of(relative, "is a folder, where nixgen writes a file", "move it elsewhere") from None
    except OSError as error:
        raise MachineError.of(relative, f"cannot be read: {error.strerror}") from error


def refuse_read_only(root: Path) -> None:
    """Raises MachineError when nothing can be written into ``root``: told before anything is fetched for it."""
    if not os.access(root, os.W_OK | os.X_OK):
        code = errno.EROFS if os.statvfs(root).f_flag & os.ST_RDONLY else errno.EACCES
        raise _explained(root, OSError(code, os.strerror(code)))


def write_all(root: Path, files: Mapping[str, bytes], remove: Iterable[str] = ()) -> tuple[str, ...]:
    """Writes ``files`` (paths relative to ``root``, with forward slashes) and removes ``remove``: all or nothing.

    Files that hold the bytes already are not touched. A file's permissions stay, but nothing that nixgen writes is
    executable. A link is followed where it leads to a place inside ``root``. Returns the paths that changed.

    Raises MachineError for a full disk or a folder that may not be written, and UserError for a path that is a
    folder or leads out of ``root``; the project is then as it was.
    """
    root = root.resolve()
    changes = [_Change(path, _inside(root, path), data) for path, data in files.items()]
    changes += [_Change(path, _inside(root, path), None) for path in remove]
    changes = [change for change in changes if change.needed(root)]
    folders: list[Path] = []
    try:
        for folder in sorted({change.target.parent for change in changes}):
            folders += _make_folder(folder)
            _clean(folder)
        for change in changes:
            change.stage()
        _commit(changes)
    except BaseException as error:
        for change in changes:
            change.drop()
        for folder in reversed(folders):
            with contextlib.suppress(OSError):
                folder.rmdir()
        if isinstance(error, OSError):
            raise _explained(root, error) from error
        raise
    for folder in {change.target.parent for change in changes if change.data is None}:
        _prune(root, folder)
    return tuple(change.path for change in changes)


@dataclass(slots=True)
class _Change:
    """One file to write (or, with no data, to remove) and the names that it has on the way."""

    path: str
    target: Path
    data: bytes | None
    staged: Path | None = None
    backup: Path | None = None
    begun: bool = False

    def needed(self, root: Path) -> bool:
        old = read(root, self.path)
        if old is None or self.data is None:
            return old is not self.data
        return old != self.data or bool(self.target.stat().st_mode & 0o111)

    def stage(self) -> None:
        if self.data is None:
            return
        self.staged = self._beside("new")
        descriptor = os.open(self.staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o666)
        with os.fdopen(descriptor, "wb") as file:
            with contextlib.suppress(FileNotFoundError):
                os.fchmod(file.fileno(), stat.S_IMODE(self.target.stat().st_mode) & ~0o111)
            file.write(self.data)
            file.flush()
            os.fsync(file.fileno())

    def commit(self) -> None:
        # The backup is a second name for the old file, so that the file's own name is never without a file. What was
        # begun is noted before it is done: an interrupt may come between any two lines.
        self.backup = self._beside("old")
        try:
            os.link(self.target, self.backup)
        except OSError:
            self.backup = None
        self.begun = True
        if self.staged is None:
            self.target.unlink()
        else:
            self.staged.replace(self.target)

    def undo(self) -> None:
        if not self.begun:
            return
        if self.backup is not None:
            self.backup.replace(self.target)
        elif self.staged is not None and not self.staged.exists():
            self.target.unlink()

    def drop(self) -> None:
        for name in (self.staged, self.backup):
            if name is not None:
                with contextlib.suppress(OSError):
                    name.unlink()

    def _beside(self, what: str) -> Path:
        return self.target.with_name(f".{self.target.name}.{what}.{os.getpid()}{TEMPORARY}")


def _commit(changes: list[_Change]) -> None:
    """The renames; what was done is undone when one of them fails or the user interrupts."""
    before = len(_changed)
    _changed.extend(change.path for change in changes)
    try:
        for change in changes:
            change.commit()
    except BaseException:
        for change in reversed(changes):
            with contextlib.suppress(OSError):
                change.undo()
        del _changed[before:]
        raise
    for change in changes:
        if change.backup is not None:
            with contextlib.suppress(OSError):
                change.backup.unlink()
    for folder in {change.target.parent for change in changes}:
        sync_folder(folder)


def _inside(root: Path, path: str) -> Path:
    """Where ``path`` leads, links followed; refuses what lies outside ``root``."""
    pure = PurePosixPath(path)
    try:
        target = (root / pure).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError.of(path, f"cannot be followed: {error}") from error
    if pure.is_absolute() or ".." in pure.parts or target == root or not target.is_relative_to(root):
        raise UserError.of(path, "leads out of the project, and nixgen writes only inside it", "remove the link")
    return target


def _make_folder(folder: Path) -> list[Path]:
    """Makes ``folder`` and what is missing above it; returns what it made, outermost first."""
    missing: list[Path] = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    missing.reverse()
    for made, new in enumerate(missing):
        try:
            new.mkdir()
        except FileExistsError:
            continue
        except OSError:
            for old in reversed(missing[:made]):
                old.rmdir()
            raise
    return missing


def _clean(folder: Path) -> None:
    """Removes the temporary files of runs that were killed."""
    for name in folder.glob(f".*{TEMPORARY}"):
        pid = name.name.removesuffix(TEMPORARY).rpartition(".")[2]
        if not (pid.isdigit() and _alive(int(pid))):
            with contextlib.suppress(OSError):
                name.unlink()


def _alive(pid: int) -> bool:
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _prune(root: Path, folder: Path) -> None:
    """Removes ``folder`` and those above it, inside ``root``, that are now empty."""
    with contextlib.suppress(OSError):
        while folder != root:
            folder.rmdir()
            folder = folder.parent


def sync_folder(folder: Path) -> None:
    """Waits until the names in a folder are on the disk, where the file system can say so (fsync(2))."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _explained(root: Path, error: OSError) -> NixgenError:
    name = error.filename2 or error.filename
    folder = str(Path(os.fsdecode(name)).parent) if isinstance(name, str | bytes) else str(root)
    if error.errno in _FULL:
        return MachineError.of(folder, "the disk is full; nothing was changed", "free some room and try again")
    if error.errno in _FORBIDDEN:
        mend = "make the folder writable, or work on a copy"
        return MachineError.of(folder, f"cannot be written ({error.strerror}); nothing was changed", mend)
    if error.errno in {errno.ENOTDIR, errno.EEXIST, errno.EISDIR}:
        return UserError.of(folder, "is a file, where nixgen needs a folder; nothing was changed", "move it elsewhere")
    return MachineError.of(folder, f"cannot be written ({error.strerror}); nothing was changed")
