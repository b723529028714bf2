"""HTTP servers on loopback whose answers a test decides: ranges, redirects, breaks in the middle, lies."""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass
class Reply:
    """An answer on its way: a test may change it."""

    status: int = 200  # 0: the connection breaks off before there is one
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None  # the connection breaks off after so many bytes
    silent: bool = False  # and no header has announced that it will be closed

    @classmethod
    def json(cls, value: object, **headers: str) -> Reply:
        return cls(200, {"Content-Type": "application/json; charset=utf-8", **headers}, json.dumps(value).encode())

    @classmethod
    def error(cls, status: int, code: str, message: str) -> Reply:
        body = json.dumps({"error": message}).encode()
        headers = {"Content-Type": "application/json; charset=utf-8", "X-Error-Message": message}
        return cls(status, headers | ({"X-Error-Code": code} if code else {}), body)


@dataclass(frozen=True)
class Asked:
    """One request: ``host`` is the server's name, ``target`` the path with its query; headers are named Like-This."""

    host: str
    method: str
    target: str
    headers: Mapping[str, str]
    connection: int = 0  # the client's port

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def token(self) -> str | None:
        return self.headers.get("Authorization")


def ranged(asked: Asked, content: bytes, headers: dict[str, str]) -> Reply:
    """The whole content, or the range that is asked for (RFC 9110, section 14), with If-Range."""
    given = re.fullmatch(r"bytes=(\d+)-(\d*)", asked.headers.get("Range", ""))
    condition = asked.headers.get("If-Range")
    if not given or (condition and condition != headers.get("ETag")):
        return Reply(200, headers, content)
    start, last = int(given[1]), min(int(given[2] or len(content)), len(content) - 1)
    if start > last:
        return Reply(416, headers | {"Content-Range": f"bytes */{len(content)}"})
    return Reply(206, headers | {"Content-Range": f"bytes {start}-{last}/{len(content)}"}, content[start : last + 1])


@contextmanager
def listen(answer: Callable[[Asked, bytes], Reply], host: str = "", tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The address of a server on a free port of 127.0.0.1, which runs while the context is open."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(answer, host))
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(answer: Callable[[Asked, bytes], Reply], host: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and body in one packet, sent at once: two would wait for each other on a connection that is kept.
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.title(): value for name, value in self.headers.items()}
            reply = answer(Asked(host, self.command, self.path, headers, self.client_address[1]), body)
            if not reply.status:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                self.send_header(name, value)
            if reply.cut is not None and not reply.silent:
                self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body if reply.cut is None else reply.body[: reply.cut])
            if reply.cut is not None:
                self.close_connection = True

        do_HEAD = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 -- the names that http.server calls

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name in http.server
            """Says nothing: pytest's output stays readable."""

    return Handler
