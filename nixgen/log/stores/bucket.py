"""A log in an object store (extra ``remote``): S3 and what speaks like it, GCS, Azure.

Of several who append at once, conditional writes let one through (If-None-Match, If-Match: "Amazon S3 User Guide",
conditional writes; the same in the others).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from nixgen.errors import MachineError, NixgenError
from nixgen.log.stores.model import CHUNK, LONGEST, PROBE, PROBED, first, unconditional, unknown
from nixgen.machine import objects

if TYPE_CHECKING:
    from obstore.store import ObjectStore


class Bucket:
    """Objects below a prefix. See :class:`nixgen.log.stores.model.Storage`."""

    def __init__(self, where: str, store: ObjectStore) -> None:
        self._where = where
        self._store = store
        self._probed = False

    @classmethod
    def open(cls, url: str, *, own: bool = True) -> Bucket:
        """The store at an address; behind its question mark stands what Nix has there: endpoint, region, profile.

        ``own``: see :func:`nixgen.machine.objects.open_store`.
        """
        parts = urlsplit(url)
        where = parts._replace(query="", fragment="").geturl()
        if parts.scheme not in objects.SCHEMES:
            raise unknown(where, f"{parts.scheme}: is no place for a log")
        return cls(where, objects.open_store(where, dict(parse_qsl(parts.query)), extra="cache,remote", own=own))

    @property
    def where(self) -> str:
        """The address."""
        return self._where

    def read(self, name: str, limit: int = LONGEST) -> bytes | None:
        """See :class:`Storage`, as for the rest."""
        with self.stream(name) as pieces:
            return first(pieces, limit)

    @contextlib.contextmanager
    def stream(self, name: str) -> Iterator[Iterator[bytes] | None]:
        """One GET."""
        with objects.guarded(self._failed):
            found = self._get(name)
            yield None if found is None else map(bytes, found.stream(min_chunk_size=CHUNK))

    def names(self) -> list[str]:
        """What lies directly below the prefix; for :mod:`nixgen.cache.contents`."""
        import obstore

        with objects.guarded(self._failed):
            found = obstore.list_with_delimiter(self._store)
        return [row["path"].rpartition("/")[2] for row in found["objects"]]

    def write(self, name: str, data: bytes) -> None:
        """An object is replaced as a whole."""
        self._put(name, data, "overwrite")

    def create(self, name: str, data: bytes) -> bool:
        """Only where there is none (If-None-Match)."""
        return self._put(name, data, "create")

    def replace(self, name: str, data: bytes, old: bytes) -> bool:
        """Only where it has not changed since it was compared (If-Match)."""
        with objects.guarded(self._failed):
            found = self._get(name)
            if found is None or first(map(bytes, found.stream(min_chunk_size=CHUNK)), len(old) + 1) != old:
                return False
            return self._put(name, data, {key: found.meta[key] for key in ("e_tag", "version") if found.meta[key]})

    def remove(self, name: str) -> None:
        """What cannot be removed stays."""
        import obstore

        with contextlib.suppress(NixgenError), objects.guarded(self._failed):
            below = [row["path"] for some in obstore.list(self._store, name) for row in some]
            obstore.delete(self._store, below or [name])

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Nothing is locked, so the store must look at conditions. Raises UserError where it does not."""
        if not self._probed:
            self._put(PROBE, PROBED, "create")
            if self._put(PROBE, PROBED, "create") or self._put(PROBE, PROBED, {"e_tag": '"nixgen"', "version": "1"}):
                raise unconditional(self._where)
            self._probed = True
        yield

    def _get(self, name: str) -> Any:  # noqa: ANN401 -- obstore's, where it is installed
        import obstore

        try:
            return obstore.get(self._store, name)
        except FileNotFoundError:
            return None

    def _put(self, name: str, data: bytes, mode: Any) -> bool:  # noqa: ANN401 -- the same
        """Whether the condition held."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        try:
            with objects.guarded(self._failed):
                obstore.put(self._store, name, data, mode=mode, use_multipart=False)
        except (AlreadyExistsError, PreconditionError):
            return False
        return True

    def _failed(self, kind: type[NixgenError], what: str, mend: str) -> NixgenError:
        del kind
        return MachineError.of(self._where, what, mend)
