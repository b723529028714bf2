"""A log behind a web server: read with GET, written with PUT and DELETE where the server takes them (RFC 9110, 9.3).

Conditions (If-Match, If-None-Match: RFC 9110, 13.1) let one of several through, on servers that look at them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote, urlsplit

from nixgen.errors import MachineError
from nixgen.log.stores.model import CHUNK, LONGEST, PROBE, PROBED, first, unconditional
from nixgen.machine.download import Answer, Client, refuse_credentials
from nixgen.machine.files import opened, pieces

ABSENT = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_REFUSED = (HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED)


class Web:
    """Files below an address. See :class:`nixgen.log.stores.model.Storage`."""

    def __init__(self, url: str) -> None:
        refuse_credentials(url)
        self._url = urlsplit(url)._replace(query="", fragment="").geturl().rstrip("/")
        self._client = Client(self._url)
        self._probed = False

    @property
    def where(self) -> str:
        """The address."""
        return self._url

    def read(self, name: str, limit: int = LONGEST) -> bytes | None:
        """See :class:`Storage`, as for the rest."""
        return self._tagged(name, limit)[0]

    @contextlib.contextmanager
    def stream(self, name: str) -> Iterator[Iterator[bytes] | None]:
        """One GET."""
        with self._asked(name) as answer:
            yield self._pieces(answer)

    def write(self, name: str, data: bytes) -> None:
        """One PUT."""
        self._put(name, data, {})

    def create(self, name: str, data: bytes) -> bool:
        """Only where there is none (If-None-Match)."""
        return self.read(name, 1) is None and self._put(name, data, {"If-None-Match": "*"})

    def replace(self, name: str, data: bytes, old: bytes) -> bool:
        """Only where it has not changed since it was compared (If-Match)."""
        found, tag = self._tagged(name, len(old) + 1)
        if found is not None and tag is None:
            raise unconditional(self._url)
        return found == old and tag is not None and self._put(name, data, {"If-Match": tag})

    def remove(self, name: str) -> None:
        """What cannot be removed stays."""
        with contextlib.suppress(MachineError), self._client.open(self._at(name), method="DELETE", accepted=_REFUSED):
            pass

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Nothing is locked, so the server must look at conditions. Raises UserError where it does not."""
        if not self._probed:
            self.create(PROBE, PROBED)
            twice = self._put(PROBE, PROBED, {"If-None-Match": "*"})
            if twice or self._put(PROBE, PROBED, {"If-Match": '"nixgen"'}) or not self._tagged(PROBE, 1)[1]:
                raise unconditional(self._url)
            self._probed = True
        yield

    def _tagged(self, name: str, limit: int) -> tuple[bytes | None, str | None]:
        with self._asked(name) as answer:
            tag = answer.headers.get("ETag")
            # A weak one matches nothing here (RFC 9110, 13.1.1).
            return first(self._pieces(answer), limit), tag if tag and not tag.startswith("W/") else None

    def _asked(self, name: str, method: str = "GET") -> contextlib.AbstractContextManager[Answer]:
        return self._client.open(self._at(name), {"Cache-Control": "no-cache"}, method=method, accepted=ABSENT)

    def _pieces(self, answer: Answer) -> Iterator[bytes] | None:
        return None if answer.status in ABSENT else self._whole(answer)

    def _whole(self, answer: Answer) -> Iterator[bytes]:
        size = 0
        while piece := answer.read(CHUNK):
            size += len(piece)
            yield piece
        if answer.length not in {None, size}:
            raise MachineError.of(answer.url, "the answer is cut off", "run the command again")

    def _put(self, name: str, data: bytes | Path, headers: Mapping[str, str]) -> bool:
        told = {"Content-Type": "application/octet-stream", **headers}
        with contextlib.ExitStack() as stack:
            body: bytes | Iterator[bytes]
            if isinstance(data, Path):
                file = stack.enter_context(opened(data))
                told["Content-Length"] = str(data.stat().st_size)
                body = pieces(file)
            else:
                body = data
            open_ = self._client.open(self._at(name), told, method="PUT", body=body, accepted=_REFUSED)
            return stack.enter_context(open_).status not in _REFUSED

    def _at(self, name: str) -> str:
        return f"{self._url}/{quote(name)}"
