"""A log in an object store, by fsspec (extra ``remote``): S3 and what speaks like it, or any other family it knows.

Of several who append at once, S3's conditional writes let one through (If-None-Match, If-Match: "Amazon S3 User Guide",
conditional writes).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from nixgen.console import console
from nixgen.errors import MachineError, UserError
from nixgen.log.stores.model import CHUNK, LONGEST, unknown

_T = TypeVar("_T")
_REFUSED = (HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED)


class Bucket:
    """Objects below a prefix. See :class:`nixgen.log.stores.model.Storage`."""

    def __init__(self, where: str, system: Any, base: str) -> None:  # noqa: ANN401 -- fsspec has no types
        self._where = where
        self._system = system
        self._base = base.rstrip("/")
        self._s3 = where.startswith("s3:")
        self._tried = False

    @classmethod
    def open(cls, url: str) -> Bucket:
        """The store at an address; behind its question mark stands what Nix has there: endpoint, region, profile."""
        parts = urlsplit(url)
        where = parts._replace(query="", fragment="").geturl()
        options = _options(dict(parse_qsl(parts.query))) if parts.scheme == "s3" else {}
        try:
            import fsspec  # type: ignore[import-untyped,unused-ignore]

            # Nothing is cached: what counts is what is there now.
            system, base = fsspec.core.url_to_fs(where, use_listings_cache=False, skip_instance_cache=True, **options)
        except ImportError:
            mend = "install it beside nixgen: uv tool install 'nixgen[cache,remote]'"
            raise UserError.of(where, f"{parts.scheme}: needs a library that is not here", mend) from None
        except ValueError as error:
            raise unknown(where, f"cannot be read: {error}") from None
        return cls(where, system, str(base))

    @property
    def where(self) -> str:
        """The address."""
        return self._where

    def read(self, name: str, limit: int = LONGEST) -> bytes | None:
        """See :class:`Storage`, as for the rest."""
        found: bytes | None = self._guarded(lambda: bytes(self._system.cat_file(self._path(name))), missing=None)
        return found if found is None else found[:limit]

    @contextlib.contextmanager
    def stream(self, name: str) -> Iterator[Iterator[bytes] | None]:
        """A request for each piece."""
        file = self._guarded(lambda: self._system.open(self._path(name), "rb", block_size=CHUNK), missing=None)
        with file or contextlib.nullcontext():
            yield iter(lambda: file.read(CHUNK), b"") if file else None

    def names(self) -> list[str]:
        """What lies directly below the prefix; for :mod:`nixgen.cache.contents`."""
        found = self._guarded(lambda: self._system.ls(self._base, detail=False), missing=[])
        return [str(path).rstrip("/").rpartition("/")[2] for path in found]

    def write(self, name: str, data: bytes) -> None:
        """An object is replaced as a whole."""
        self._guarded(lambda: self._system.pipe_file(self._path(name), data))

    def create(self, name: str, data: bytes) -> bool:
        """Only where there is none (If-None-Match)."""

        def put() -> bool:
            self._system.pipe_file(self._path(name), data, mode="create")
            return True

        made: bool = self._guarded(put, refused=False)
        if made and not self._tried:
            # The same again must be refused; it is the same bytes, so nothing is lost where it is not.
            self._tried = True
            if self._guarded(put, refused=False):
                console.warn(f"{self._where} knows no conditional writes: let only one machine push at a time")
        return made

    def replace(self, name: str, data: bytes, old: bytes) -> bool:
        """Only where it has not changed since it was compared (If-Match)."""
        path = self._path(name)
        tag: str | None = None
        if self._s3:
            tag = self._guarded(lambda: str(self._system.info(path)["ETag"]), missing=None)
            if tag is None:
                return False
        if self.read(name, len(old) + 1) != old:
            return False
        condition = {"IfMatch": tag} if tag else {}

        def put() -> bool:
            self._system.pipe_file(path, data, **condition)
            return True

        done: bool = self._guarded(put, refused=False, missing=False)
        return done

    def remove(self, name: str) -> None:
        """What cannot be removed stays."""
        with contextlib.suppress(MachineError):
            self._guarded(lambda: self._system.rm(self._path(name), recursive=True), missing=None)

    def exclusive(self) -> contextlib.AbstractContextManager[None]:
        """Nothing is locked."""
        return contextlib.nullcontext()

    def _path(self, name: str) -> str:
        return f"{self._base}/{name}"

    def _guarded(self, do: Callable[[], _T], **instead: Any) -> Any:  # noqa: ANN401 -- what it gives, or what is instead
        """What ``do`` gives; ``missing`` and ``refused`` instead, where there is no object, or a condition failed."""
        try:
            return do()
        except FileNotFoundError as error:
            if "missing" in instead:
                return instead["missing"]
            raise self._failed(f"there is none: {error}", "check the address, and the endpoint") from None
        except FileExistsError:
            return instead["refused"]
        except PermissionError:
            mend = "the credentials come from where the store's own tools find them (for s3: AWS_PROFILE, ~/.aws)"
            raise self._failed("may not be read or written", mend) from None
        except Exception as error:  # noqa: BLE001 -- each file system's library has errors of its own
            if "refused" in instead and _status(error) in _REFUSED:
                return instead["refused"]
            what = f"cannot be read or written: {type(error).__name__}: {error}"
            raise self._failed(what, "check the network, the endpoint and the credentials") from None

    def _failed(self, what: str, mend: str) -> MachineError:
        return MachineError.of(self._where, what, mend)


def _options(settings: dict[str, str]) -> dict[str, Any]:
    """What Nix's settings of an S3 store are to s3fs (Nix manual, "S3 Binary Cache Store")."""
    options: dict[str, Any] = {}
    if endpoint := settings.get("endpoint"):
        options["endpoint_url"] = endpoint if "://" in endpoint else f"{settings.get('scheme', 'https')}://{endpoint}"
    if profile := settings.get("profile"):
        options["profile"] = profile
    if region := settings.get("region"):
        options["client_kwargs"] = {"region_name": region}
    return options


def _status(error: BaseException) -> int | None:
    """The HTTP status behind an error of s3fs."""
    answer = getattr(error.__cause__ or error, "response", None)
    return answer.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(answer, dict) else None
