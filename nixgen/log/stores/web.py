"""A log behind a web server: read with GET, written with PUT and DELETE where the server takes them (RFC 9110, 9.3).

Conditions (If-Match, If-None-Match: RFC 9110, 13.1) let one of several through, on servers that look at them.
"""

from __future__ import annotations

import contextlib
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import Message
from http import HTTPStatus
from http.client import HTTPException
from urllib.parse import quote, urlsplit

from nixgen import __version__
from nixgen.errors import MachineError
from nixgen.machine import download

_TIMEOUT = 60.0
_ABSENT = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_REFUSED = (HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED)
_LONGEST = 1 << 30  # bytes of an answer


class Web:
    """Files below an address. See :class:`nixgen.log.stores.model.Storage`."""

    def __init__(self, url: str) -> None:
        download.refuse_credentials(url)
        self._url = urlsplit(url)._replace(query="", fragment="").geturl().rstrip("/")
        self._opener = download.opener()

    @property
    def where(self) -> str:
        """The address."""
        return self._url

    def read(self, name: str) -> bytes | None:
        """See :class:`Storage`, as for the rest."""
        return self._get(name)[0]

    def write(self, name: str, data: bytes) -> None:
        """One PUT."""
        self._put(name, data, {})

    def create(self, name: str, data: bytes) -> bool:
        """Only where there is none (If-None-Match)."""
        return self.read(name) is None and self._put(name, data, {"If-None-Match": "*"})

    def replace(self, name: str, data: bytes, old: bytes) -> bool:
        """Only where it has not changed since it was compared (If-Match)."""
        found, tag = self._get(name)
        strong = tag and not tag.startswith("W/")  # a weak one matches nothing here (RFC 9110, 13.1.1)
        return found == old and self._put(name, data, {"If-Match": tag} if tag and strong else {})

    def remove(self, name: str) -> None:
        """What cannot be removed stays."""
        with contextlib.suppress(MachineError):
            self._ask("DELETE", name, None, {})

    def exclusive(self) -> contextlib.AbstractContextManager[None]:
        """Nothing is locked."""
        return contextlib.nullcontext()

    def _get(self, name: str) -> tuple[bytes | None, str | None]:
        status, headers, data = self._ask("GET", name, None, {"Cache-Control": "no-cache"})
        return (None, None) if status in _ABSENT else (data, headers.get("ETag"))

    def _put(self, name: str, data: bytes, headers: Mapping[str, str]) -> bool:
        return self._ask("PUT", name, data, headers)[0] not in _REFUSED

    def _ask(
        self, method: str, name: str, data: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, Message, bytes]:
        url = f"{self._url}/{quote(name)}"
        told = {"User-Agent": f"nixgen/{__version__}", "Accept-Encoding": "identity", **headers}
        if data is not None:
            told["Content-Type"] = "application/octet-stream"
        request = urllib.request.Request(url, data=data, headers=told, method=method)  # noqa: S310 -- http or https
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as answer:
                return answer.status, answer.headers, answer.read(_LONGEST)
        except urllib.error.HTTPError as error:
            with error:
                if error.code in (_ABSENT if method == "GET" else _REFUSED):
                    return error.code, error.headers, b""
                raise self._failed(method, url, error) from None
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            mend = "check the network or proxy, and run the command again"
            raise MachineError.of(url, f"cannot be reached: {reason}", mend) from None

    def _failed(self, method: str, url: str, error: urllib.error.HTTPError) -> MachineError:
        mend = "check the address, and the network or proxy"
        if error.code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            mend = f"give the user name and password for {urlsplit(url).hostname} in {download.netrc_path()}"
        elif method != "GET" and error.code in (HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED):
            mend = "the server takes no uploads: push to the folder or bucket behind it"
        return MachineError.of(url, f"the server answered {error.code} {error.reason} to {method}", mend)
