"""The files of a registry that are not in a folder: in a bucket, or behind a web server."""

from __future__ import annotations

from pathlib import Path

from nixgen.errors import UserError
from nixgen.log.stores.bucket import Bucket
from nixgen.log.stores.web import ABSENT, Web
from nixgen.machine import objects
from nixgen.registry.files import said


class BucketFiles(Bucket):
    """See :class:`Files`."""

    locks = False

    def upload(self, name: str, source: Path) -> None:
        """In parts where it is long; an object is there when all of them are."""
        import obstore

        with objects.guarded(self._failed):
            obstore.put(self._store, name, source)

    def exists(self, name: str) -> bool:
        """One HEAD."""
        import obstore

        with objects.guarded(self._failed):
            try:
                obstore.head(self._store, name)
            except FileNotFoundError:
                return False
        return True

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
        return said(self.read(name, 512))


class WebFiles(Web):
    """See :class:`Files`. A web server lists nothing; some take files with PUT (RFC 9110, 9.3.4)."""

    locks = False

    def upload(self, name: str, source: Path) -> None:
        """One PUT, read from the disk."""
        self._put(name, source, {})

    def exists(self, name: str) -> bool:
        """One HEAD."""
        with self._asked(name, "HEAD") as answer:
            return answer.status not in ABSENT

    def names(self, folder: str) -> dict[str, bool]:
        """Raises UserError."""
        what = "is on a web server, which lists no folder"
        raise UserError.of(f"{self.where}/{folder}", what, "name the folder or bucket behind it")

    def point(self, name: str, target: str) -> None:
        """A file of one line."""
        self.write(name, f"{target}\n".encode())

    def pointed(self, name: str) -> str | None:
        """What the file says."""
        return said(self.read(name, 512))
