"""The files of a registry, in a folder, in a bucket, or behind a web server: a log's store, with three things more.

Long files are written from the disk and read in pieces; a folder's names are listed; and an alias is a link where the
store has links, else a file of one line.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from nixgen.errors import MachineError, UserError
from nixgen.log.stores.bucket import Bucket
from nixgen.log.stores.folder import Folder
from nixgen.log.stores.model import CHUNK, Storage
from nixgen.log.stores.web import Web
from nixgen.machine import objects

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

    def names(self, folder: str) -> dict[str, bool]:
        """What lies directly in a folder: name → whether that is a folder. Raises UserError where none can tell."""
        ...

    def point(self, name: str, target: str) -> None:
        """Makes ``name`` a link to ``target`` beside it, or a file of one line that says so."""
        ...

    def pointed(self, name: str) -> str | None:
        """Where ``name`` leads; None where there is none. A name that is no such link leads to ""."""
        ...


def open_files(url: str) -> Files:
    """The files at an address: a folder, ``file:///…``, ``s3://…`` (``gs``, ``az``), ``https://…``.

    Raises UserError for what nothing here reads.
    """
    scheme = urlsplit(url).scheme
    if scheme in ("", "file"):
        return FolderFiles(Path(unquote(urlsplit(url).path) if scheme else url))
    if scheme in ("http", "https"):
        return WebFiles(url)
    where = urlsplit(url)._replace(query="", fragment="").geturl()
    if scheme not in objects.SCHEMES:
        raise UserError.of(where, f"{scheme}: is no place for a registry", "use a folder, file://, s3:// or https://")
    return BucketFiles(where, objects.open_store(where, dict(parse_qsl(urlsplit(url).query)), extra="cache,remote"))


class FolderFiles(Folder):
    """See :class:`Files`."""

    locks = True

    def upload(self, name: str, source: Path) -> None:
        """Copied in pieces, synced, renamed."""
        try:
            file = source.open("rb")
        except OSError as error:
            raise MachineError.of(str(source), f"cannot be read: {error.strerror}") from None
        with file, self.written(name, iter(lambda: file.read(CHUNK * 16), b"")) as (made, target):
            made.replace(target)

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
            return "" if (self.folder / name).is_dir() else _said(self.read(name, 512))


class BucketFiles(Bucket):
    """See :class:`Files`."""

    locks = False

    def upload(self, name: str, source: Path) -> None:
        """In parts where it is long; an object is there when all of them are."""
        import obstore

        with objects.guarded(self._failed):
            obstore.put(self._store, name, source)

    def names(self, folder: str) -> dict[str, bool]:  # type: ignore[override]
        """One listing."""
        import obstore

        with objects.guarded(self._failed):
            found = obstore.list_with_delimiter(self._store, folder or None)
        below = {prefix.rstrip("/").rpartition("/")[2]: True for prefix in found["common_prefixes"]}
        return {**{row["path"].rpartition("/")[2]: False for row in found["objects"]}, **below}

    def point(self, name: str, target: str) -> None:
        """A file of one line."""
        self.write(name, f"{target}\n".encode())

    def pointed(self, name: str) -> str | None:
        """What the file says."""
        return _said(self.read(name, 512))


class WebFiles(Web):
    """See :class:`Files`. A web server lists nothing, and takes small files only: it is for those who fetch."""

    locks = False

    def upload(self, name: str, source: Path) -> None:
        """Raises UserError."""
        raise UserError.of(f"{self.where}/{name}", f"is on a web server, which {source.name} cannot be published to",
                           "publish to the folder or bucket behind it")  # fmt: skip

    def names(self, folder: str) -> dict[str, bool]:
        """Raises UserError."""
        what = "is on a web server, which lists no folder"
        raise UserError.of(f"{self.where}/{folder}", what, "name the folder or bucket behind it with --registry")

    def point(self, name: str, target: str) -> None:
        """A file of one line."""
        self.write(name, f"{target}\n".encode())

    def pointed(self, name: str) -> str | None:
        """What the file says."""
        return _said(self.read(name, 512))


def pieces(files: Files, name: str) -> Iterator[bytes]:
    """All of a file. Raises MachineError where there is none."""
    with files.stream(name) as found:
        if found is None:
            raise MachineError.of(f"{files.where}/{name}", "is not there", "see what is wrong: nixgen registry verify")
        yield from found


def _said(data: bytes | None) -> str | None:
    if data is None:
        return None
    found = _TARGET.fullmatch(data)
    return found[1].decode("ascii") if found else ""
