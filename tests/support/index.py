"""A package index on loopback: the simple repository API (PEP 503 and 691) over a folder of wheels."""

from __future__ import annotations

import html
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote

from support.wheels import sha256


@dataclass
class Index:
    """A running index. ``requests`` are the paths that were asked for, in order.

    ``hashes`` tells whether its pages give the files' SHA-256; without them uv.lock holds none either.
    ``yanked`` are names of files that are there and should not be chosen (PEP 592).
    ``credentials`` is "user:password" where every request needs them (HTTP basic authentication).
    """

    folder: Path
    hashes: bool = True
    credentials: str | None = None
    address: str = ""
    requests: list[str] = field(default_factory=list)
    yanked: set[str] = field(default_factory=set)

    @property
    def simple(self) -> str:
        """The address to give to uv (``--index-url``, ``[[tool.uv.index]]``)."""
        return f"{self.address}/simple/"

    def url(self, wheel: Path) -> str:
        """The address of one file."""
        return f"{self.address}/files/{quote(wheel.name)}"

    def projects(self) -> dict[str, list[Path]]:
        """The files of each project, by its normalized name (PEP 503)."""
        found: dict[str, list[Path]] = {}
        for path in sorted(self.folder.iterdir()):
            name = path.name.split("-")[0] if path.suffix == ".whl" else path.name.rsplit("-", 1)[0]
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), []).append(path)
        return found


@contextmanager
def serve(folder: Path, *, hashes: bool = True, credentials: str | None = None) -> Iterator[Index]:
    """Serves ``folder`` on a free port of 127.0.0.1 while the context is open."""
    index = Index(folder, hashes, credentials)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(index))
    index.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(index: Index) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            index.requests.append(self.path)
            if index.credentials and not self._authorised(index.credentials):
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="index"')
                self.end_headers()
                return
            parts = [unquote(part) for part in self.path.split("/") if part]
            if len(parts) == 2 and parts[0] == "simple" and parts[1] in index.projects():
                self._answer(_page(index, parts[1]).encode(), "text/html")
            elif len(parts) == 2 and parts[0] == "files" and (index.folder / parts[1]).is_file():
                self._answer((index.folder / parts[1]).read_bytes(), "application/octet-stream")
            else:
                self.send_error(404)

        do_HEAD = do_GET  # noqa: N815 -- the name that http.server calls

        def _authorised(self, credentials: str) -> bool:
            import base64

            return self.headers.get("Authorization") == "Basic " + base64.b64encode(credentials.encode()).decode()

        def _answer(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name in http.server
            """Says nothing: pytest's output stays readable."""

    return Handler


def _page(index: Index, project: str) -> str:
    links = []
    for path in index.projects()[project]:
        fragment = f"#sha256={sha256(path)}" if index.hashes else ""
        yanked = ' data-yanked="broken"' if path.name in index.yanked else ""
        links.append(f'<a href="{html.escape(index.url(path) + fragment)}"{yanked}>{html.escape(path.name)}</a><br>')
    return "<!DOCTYPE html>\n<html><body>\n" + "\n".join(links) + "\n</body></html>\n"
