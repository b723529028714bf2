"""The files of a registry, in a folder, in a bucket, or behind a web server: a log's store, with three things more.

Long files are written from the disk and read in pieces; a folder's names are listed; and an alias is a link where the
store has links, else a file of one line.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from nixgen.errors import MachineError, UserError
from nixgen.log.stores.folder import Folder
from nixgen.log.stores.model import Storage
from nixgen.machine.files import opened
from nixgen.machine.files import pieces as all_of

_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES, errno.EINVAL}
_TARGET = re.compile(rb"([A-Za-z0-9.+-]{1,200})\n?")


class Files(Storage, Protocol):
    """Files by name below an address. Every method raises MachineError when the store cannot be reached or written."""

    @property
    def locks(self) -> bool:
        """Whether :meth:`exclusive` keeps others out."""
        ...

    def upload(self, name: str, source: Path) -> None:
        """Writes a file from the disk, over an old one where there is one; seen whole, or not at all."""
        ...

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""
        ...

    def names(self, folder: str) -> dict[str, bool]:
        """What lies directly in a folder: name → whether that is a folder. Raises UserError where none can tell."""
        ...

    def point(self, name: str, target: str) -> None:
        """Makes ``name`` a link to ``target`` beside it, or a file of one line that says so."""
        ...

    def pointed(self, name: str) -> str | None:
        """Where ``name`` leads; None where there is none. A name that is no such link leads to ""."""
        ...


class FolderFiles(Folder):
    """See :class:`Files`."""

    locks = True

    def remove(self, name: str) -> None:
        """What lies behind a link stays, too."""
        if self._inside(name):
            super().remove(name)

    @contextlib.contextmanager
    def written(self, name: str, pieces: Iterable[bytes]) -> Iterator[tuple[Path, Path]]:
        """Raises UserError where a link leads out of the registry: whoever may write there would choose the place."""
        self._refuse(name)
        with super().written(name, pieces) as found:
            yield found

    def _refuse(self, name: str) -> None:
        if not self._inside(name):
            mend = "look at it, and remove the link"
            raise UserError.of(str(self.folder / name), "leads out of the registry, by a link", mend)

    def _inside(self, name: str) -> bool:
        parent = (self.folder / name).parent
        return os.path.realpath(parent).startswith(f"{os.path.realpath(self.folder)}/") or parent == self.folder

    def upload(self, name: str, source: Path) -> None:
        """Copied in pieces, synced, renamed."""
        try:
            file = opened(source)
        except OSError as error:
            raise MachineError.of(str(source), f"cannot be read: {error.strerror}") from None
        with file, self.written(name, all_of(file)) as (made, target):
            made.replace(target)

    def exists(self, name: str) -> bool:
        """Whether it is a file, or a link to one."""
        return (self.folder / name).is_file()

    def names(self, folder: str) -> dict[str, bool]:
        """Links count as files: an alias is one."""
        try:
            with os.scandir(self.folder / folder) as found:
                return {one.name: one.is_dir(follow_symlinks=False) for one in found}
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise self.failed(folder, "read", error) from None

    def point(self, name: str, target: str) -> None:
        """A link that is made beside the old one and renamed over it; a file where there are no links."""
        place = self.folder / name
        self._refuse(name)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".", suffix=".new", dir=place.parent) as made:
                link = Path(made, "link")
                link.symlink_to(target)
                link.replace(place)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise self.failed(name, "written", error) from None
            self.write(name, f"{target}\n".encode())

    def pointed(self, name: str) -> str | None:
        """A link's own text, or what a file says."""
        try:
            return str((self.folder / name).readlink())
        except FileNotFoundError:
            return None
        except OSError:
            return "" if (self.folder / name).is_dir() else said(self.read(name, 512))


def pieces(files: Files, name: str) -> Iterator[bytes]:
    """All of a file. Raises MachineError where there is none."""
    with files.stream(name) as found:
        if found is None:
            raise MachineError.of(f"{files.where}/{name}", "is not there", "see what is wrong: nixgen registry verify")
        yield from found


def said(data: bytes | None) -> str | None:
    """Where a file of one line says that its alias leads; "" for one that says something else."""
    if data is None:
        return None
    found = _TARGET.fullmatch(data)
    return found[1].decode("ascii") if found else ""
