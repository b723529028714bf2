"""Connections that are used again: a thousand small files need a handful of them, not a thousand (RFC 9112, 9.3)."""

from __future__ import annotations

import threading
import urllib.request
from dataclasses import dataclass, field
from http.client import BadStatusLine, HTTPConnection, HTTPResponse, HTTPSConnection

_STALE = (BadStatusLine, ConnectionError)  # what a connection gives that the server has closed meanwhile


class _Response(HTTPResponse):
    """A response that knows whether it was read to its end: only then another may follow on its connection."""

    unread = False

    def close(self) -> None:
        self.unread = self.unread or (not self.isclosed() and self.length != 0)
        super().close()

    @property
    def done(self) -> bool:
        return self.isclosed() and not self.unread and not self.will_close


@dataclass(slots=True, eq=False)
class _Kept:
    """A connection, and the last response on it."""

    key: tuple[str, str]
    connection: HTTPConnection
    response: _Response


@dataclass(slots=True)
class _Free:
    """The connections of one opener; each is taken out while a request is sent on it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    kept: list[_Kept] = field(default_factory=list)

    def take(self, key: tuple[str, str]) -> HTTPConnection | None:
        with self.lock:
            for item in self.kept:
                if item.key == key and item.response.done:
                    self.kept.remove(item)
                    return item.connection
            for item in [item for item in self.kept if item.response.unread or item.response.will_close]:
                if item.response.isclosed():
                    self.kept.remove(item)
                    item.connection.close()
        return None

    def put(self, item: _Kept) -> None:
        with self.lock:
            self.kept.append(item)

    def close(self) -> None:
        with self.lock:
            for item in self.kept:
                item.connection.close()
            self.kept.clear()


class KeepAlive(urllib.request.BaseHandler):
    """Opens http and https addresses on kept connections; what goes through a proxy is left to urllib's handlers."""

    handler_order = 400  # before urllib's own, which close each connection

    def __init__(self) -> None:
        self._free = _Free()

    def http_open(self, req: urllib.request.Request) -> HTTPResponse | None:
        """The answer to a request; None through a proxy."""
        return self._open(req, HTTPConnection)

    def https_open(self, req: urllib.request.Request) -> HTTPResponse | None:
        """The answer to a request; None through a proxy."""
        return self._open(req, HTTPSConnection)

    def close(self) -> None:
        """Closes the connections that nobody uses."""
        self._free.close()

    def _open(self, req: urllib.request.Request, kind: type[HTTPConnection]) -> HTTPResponse | None:
        if req.has_proxy() or getattr(req, "_tunnel_host", None):
            return None
        key = (req.type, req.host)
        timeout = req.timeout
        connection = self._free.take(key)
        if connection is not None:
            try:
                return self._ask(key, connection, req)
            except _STALE:
                connection.close()
        return self._ask(key, kind(req.host, timeout=timeout), req)

    def _ask(self, key: tuple[str, str], connection: HTTPConnection, req: urllib.request.Request) -> HTTPResponse:
        connection.response_class = _Response
        headers = {name.title(): value for name, value in (*req.headers.items(), *req.unredirected_hdrs.items())}
        try:
            connection.request(req.get_method(), req.selector, None, headers)
            response = connection.getresponse()
        except BaseException:
            connection.close()
            raise
        response.url = req.full_url
        # What urllib's handlers of redirects and errors read there.
        response.msg = response.reason  # type: ignore[assignment]
        if isinstance(response, _Response):
            self._free.put(_Kept(key, connection, response))
        return response
