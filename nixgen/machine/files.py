"""Writing into a user's project: all files or none, never half a file, never two runs at once.

A write first puts every new file beside the old one under a temporary name, then renames them all. Until the first
rename the project is untouched; a full disk shows before it. A kill leaves each file either old or new, and the
temporary files that it leaves are removed by the next run.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import shlex
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from nixgen.errors import MachineError, NixgenError, Problem, UserError
from nixgen.machine import scratch
from nixgen.machine.folders import resolved

HEADER = "Written by nixgen"
TEMPORARY = ".nixgen-tmp"
LIMIT = 32 << 20
"""Bytes of a file of a project; one with more is not read."""

_LEFT = rf"\..+\.(?:new|old)\.([0-9]+){re.escape(TEMPORARY)}"
_ELSEWHERE = "leads out of the project, and nixgen writes only inside it"
_PIECE = 1 << 20
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


def forget_changes() -> None:
    """What was changed is as it was."""
    _changed.clear()


def written_by_nixgen(data: bytes) -> bool:
    """Whether a file's first line says that nixgen wrote it."""
    return HEADER.encode() in data.partition(b"\n")[0]


@contextlib.contextmanager
def exclusive(root: Path, announce: Callable[[str], None]) -> Iterator[bool]:
    """Keeps other nixgen processes out of the project ``root`` until the block ends.

    Waits for a run that is under way, after one call of ``announce`` with a sentence that says so; gives whether it
    waited, since what was read before may be another then. May be nested within a process. The lock is the kernel's, on
    the folder itself: nothing is left behind, even by a kill. File systems that know no such lock go without.
    """
    root = root.resolve()
    if root in _held:
        yield False
        return
    waited = False
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waited = True
                announce(f"Another nixgen is at work in {root}: waiting for it to end.")
                fcntl.flock(folder, fcntl.LOCK_EX)
        _held.add(root)
        yield waited
    finally:
        _held.discard(root)
        os.close(folder)


def opened(path: Path) -> IO[bytes]:
    """A file to read. Raises OSError with its name, also for what is no file (a device, a FIFO)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, "it is not a regular file", str(path))


def contents(path: Path) -> bytes:
    """The bytes of a file. Raises OSError, also for what is no file (a device, a FIFO) or has more than LIMIT bytes."""
    with opened(path) as file:
        data = file.read(LIMIT + 1)
    if len(data) > LIMIT:
        raise OSError(errno.EFBIG, f"it has more than {LIMIT >> 20} MiB", str(path))
    return data


def pieces(file: IO[bytes]) -> Iterator[bytes]:
    """What is left of a file, a piece at a time."""
    return iter(lambda: file.read(_PIECE), b"")


def write_pieces(target: Path, found: Iterable[bytes]) -> tuple[int, str]:
    """Writes a new file, and the folders that it lies in; its size and SHA-256. Raises OSError with its name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with target.open("xb") as file:
        for piece in found:
            digest.update(piece)
            file.write(piece)
        return file.tell(), digest.hexdigest()


def read(root: Path, relative: str) -> bytes | None:
    """The bytes of a file of the project, or None where there is none."""
    return _read(root / relative, relative)


def _read(path: Path, relative: str) -> bytes | None:
    try:
        return contents(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        raise UserError.of(relative, "is a folder, where nixgen writes a file", "move it elsewhere") from None
    except OSError as error:
        raise unreadable(relative, error) from error


def unreadable(name: str, error: OSError) -> MachineError:
    """What is told of a file that :func:`contents` cannot read, with what mends it."""
    if error.errno in _FORBIDDEN:
        mend = f"make it readable: chmod u+r {shlex.quote(name)}"
    else:
        mend = f"put the file back: git checkout -- {shlex.quote(name)}"
    return MachineError.of(name, f"cannot be read: {error.strerror}", mend)


def refuse_read_only(root: Path) -> None:
    """Raises MachineError when nothing can be written into ``root``: told before anything is fetched for it."""
    if not os.access(root, os.W_OK | os.X_OK):
        code = errno.EROFS if os.statvfs(root).f_flag & os.ST_RDONLY else errno.EACCES
        raise _explained(root, OSError(code, os.strerror(code)))


def refuse_links_out(root: Path, paths: Iterable[str]) -> None:
    """Raises UserError with each link on the way to ``paths`` that leads out of ``root``, or into its .git."""
    _places(root.resolve(), paths)


def write_all(root: Path, files: Mapping[str, bytes], remove: Iterable[str] = ()) -> tuple[str, ...]:
    """Writes ``files`` (paths relative to ``root``, with forward slashes) and removes ``remove``: all or nothing.

    Files that hold the bytes already are not touched. A file's permissions stay, but nothing that nixgen writes is
    executable. A link is followed where it leads to a place inside ``root``; of a link that is to be removed, the link
    is. Returns the paths that changed.

    Raises MachineError for a full disk or a folder that may not be written, and UserError for a path that is a
    folder or leads out of ``root``; the project is then as it was.
    """
    root = root.resolve()
    gone = tuple(remove)
    places = _places(root, files)
    changes = [_Change(path, places[path], data) for path, data in files.items()]
    changes += [_Change(path, place, None) for path, place in _places(root, gone, follow=False).items()]
    changes = [change for change in changes if change.needed()]
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

    @property
    def no_program(self) -> int:
        """The bits that mark a program, which no file is that nixgen writes: but for scripts, which are the user's."""
        return 0 if self.path.endswith(".py") else 0o111

    def needed(self) -> bool:
        if self.data is None and self.target.is_symlink():
            return True
        old = _read(self.target, self.path)
        if old is None or self.data is None:
            return old is not self.data
        return old != self.data or bool(self.target.stat().st_mode & self.no_program)

    def stage(self) -> None:
        """Puts the new file beside the old one, and a second name for the old one, or a copy where it can have none.

        A file's own name is then never without a file. vfat has no hard links, and Linux lets nobody link a file that
        somebody else owns and they may not write.
        """
        if self.data is None:
            return
        self.staged = self._beside("new")
        with os.fdopen(_create(self.staged), "wb") as file:
            with contextlib.suppress(FileNotFoundError, PermissionError):  # not every file system keeps modes
                os.fchmod(file.fileno(), stat.S_IMODE(self.target.stat().st_mode) & ~self.no_program)
            file.write(self.data)
            file.flush()
            os.fsync(file.fileno())
        if self.target.exists():
            self.backup = self._beside("old")
            try:
                self.backup.unlink(missing_ok=True)
                os.link(self.target, self.backup)
            except OSError:
                self._copy(self.backup)

    def _copy(self, place: Path) -> None:
        with self.target.open("rb") as old, os.fdopen(_create(place), "wb") as file:
            shutil.copyfileobj(old, file)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(OSError):
            shutil.copystat(self.target, place)

    def commit(self) -> None:
        # What was begun is noted before it is done: an interrupt may come between any two lines.
        if self.staged is None:
            self.backup = self._beside("old")
            self.backup.unlink(missing_ok=True)
            self.begun = True
            self.target.rename(self.backup)
        else:
            self.begun = True
            self.staged.replace(self.target)

    def undo(self) -> None:
        """Puts the old file back. Raises OSError when that fails, and leaves it where it is then."""
        if self.begun and (self.staged is None or not os.path.lexists(self.staged)):
            if self.backup is None:
                self.target.unlink(missing_ok=True)
            elif os.path.lexists(self.backup):
                self.backup.replace(self.target)
        self.begun = False

    def rescue(self) -> str:
        """Gives the old file, which cannot be put back, a name that no run removes; says where it is."""
        if self.backup is None:
            return ""
        kept = self.target.with_name(f"{self.target.name}.old")
        with contextlib.suppress(OSError):
            if not os.path.lexists(kept):
                self.backup.rename(kept)
                self.backup = None
                return str(kept)
        found, self.backup = self.backup, None
        return str(found)

    def drop(self) -> None:
        """Removes what is not needed any more; the old file only when it is back, or the new one is to stay."""
        for name in (self.staged, None if self.begun else self.backup):
            if name is not None:
                with contextlib.suppress(OSError):
                    name.unlink()

    def _beside(self, what: str) -> Path:
        return self.target.with_name(f".{self.target.name}.{what}.{os.getpid()}{TEMPORARY}")


def _create(place: Path) -> int:
    """A new file, whatever has lain there."""
    place.unlink(missing_ok=True)
    return os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)


def _commit(changes: list[_Change]) -> None:
    """The renames; what was done is undone when one of them fails or the user interrupts."""
    before = len(_changed)
    _changed.extend(change.path for change in changes)
    try:
        for change in changes:
            change.commit()
    except BaseException as error:
        lost = []
        for change in reversed(changes):
            try:
                change.undo()
            except OSError as why:
                what = f"is half written: {error}; and the old one cannot be put back: {why.strerror}"
                kept = change.rescue()
                lost.append(Problem(change.path, what, f"mv {kept} {change.target}" if kept else "remove it"))
        if lost:
            raise MachineError(lost) from error
        del _changed[before:]
        raise
    for change in changes:
        change.begun = False
    for change in changes:
        change.drop()
    for folder in {change.target.parent for change in changes}:
        sync_folder(folder)


def _places(root: Path, paths: Iterable[str], *, follow: bool = True) -> dict[str, Path]:
    """Where paths lead, links followed (without ``follow``: but for the last one). ``root`` has no links on its way.

    Raises UserError with each link that leads out of ``root`` or into its .git, and for paths that are one file.
    """
    found: dict[str, Path] = {}
    names: dict[Path, str] = {}
    problems: list[Problem] = []
    for path in dict.fromkeys(paths):
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts or not pure.parts:
            problems.append(Problem(path, _ELSEWHERE))
            continue
        try:
            target = resolved(root / pure) if follow else resolved(root / pure.parent) / pure.name
        except (OSError, ValueError) as error:
            problems.append(Problem(path, f"cannot be followed: {error}", f"remove the link: rm {shlex.quote(path)}"))
            continue
        if not _inside(root, target):
            problems.append(_link_out(root, pure, target))
        elif names.setdefault(target, path) != path:
            problems.append(Problem(path, f"is the same file as {names[target]}", f"remove the link: rm {path}"))
        found[path] = target
    if problems:
        raise UserError(dict.fromkeys(problems))
    return found


def _inside(root: Path, target: Path) -> bool:
    """Whether a place is in the project, and not in what git keeps there: a hook there would be run."""
    return target != root and target.is_relative_to(root) and ".git" not in target.relative_to(root).parts


def _link_out(root: Path, path: PurePosixPath, target: Path) -> Problem:
    """The first link on the way that leads out."""
    for part in reversed([path, *path.parents[:-1]]):
        place = root / part
        if place.is_symlink() and not _inside(root, place.resolve()):
            what = f"is a link to {place.resolve()}: it {_ELSEWHERE}"
            return Problem(str(part), what, f"remove the link: rm {part}")
    return Problem(str(path), f"{_ELSEWHERE}: to {target}")


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
        found = re.fullmatch(_LEFT, name.name)
        if found is not None and (int(found[1]) == os.getpid() or not scratch.is_alive(int(found[1]))):
            with contextlib.suppress(OSError):
                name.unlink()


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
