"""Git repositories made to order, and a server on the loopback address that gives them out as hosts do (smart HTTP)."""

from __future__ import annotations

import base64
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

TIME = 1_600_000_000
_AS = {
    **{f"GIT_{who}_{what}": "demo" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    **{f"GIT_{who}_DATE": f"{TIME} +0000" for who in ("AUTHOR", "COMMITTER")},
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "LC_ALL": "C",
}


@dataclass(frozen=True)
class Repository:
    """A work tree with its repository; always the same commits for the same files."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, files: Mapping[str, str | bytes] | None = None) -> Repository:
        """A new one, on the branch ``main``, with a commit of these files."""
        folder.mkdir(parents=True)
        made = cls(folder)
        made.git("init", "--quiet", "--template=", "--initial-branch=main")
        if files is not None:
            made.commit(files)
        return made

    def git(self, *words: str | Path) -> str:
        """Runs git in it."""
        env = {**os.environ, **_AS}
        done = subprocess.run(["git", *words], cwd=self.folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str | bytes]) -> str:
        """Commits these files on top, and whatever else changed; the commit."""
        for name, text in files.items():
            place = self.folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(text.encode() if isinstance(text, str) else text)
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--message=change")
        return self.git("rev-parse", "HEAD")

    def module(self, path: str, url: str, commit: str) -> None:
        """Adds a submodule, without fetching it."""
        self.git("config", "-f", ".gitmodules", f"submodule.{path}.path", path)
        self.git("config", "-f", ".gitmodules", f"submodule.{path}.url", url)
        self.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
        (self.folder / path).mkdir(parents=True)
        self.git("add", ".gitmodules")
        self.git("commit", "--quiet", "--message=module")


@dataclass(frozen=True)
class Server:
    """Gives out the repositories below a folder; those in ``private`` only to demo with the password plum."""

    folder: Path
    port: int
    scheme: str = "http"

    def url(self, name: str) -> str:
        """The address of one of them."""
        return f"{self.scheme}://127.0.0.1:{self.port}/{name}"


@contextmanager
def serving(folder: Path, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """A server, while the context is open; with ``tls`` it speaks https."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

        def _answer(self, body: bytes) -> None:
            parts = urlsplit(self.path)
            login = base64.b64encode(b"demo:plum").decode()
            if parts.path.startswith("/private/") and self.headers.get("Authorization") != f"Basic {login}":
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="demo"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            env = {
                "GIT_PROJECT_ROOT": str(folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH": os.environ["PATH"],
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory",
                "GIT_CONFIG_VALUE_0": "*",
                "PATH_INFO": parts.path,
                "QUERY_STRING": parts.query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            }
            done = subprocess.run(["git", "http-backend"], env=env, input=body, capture_output=True, check=False)
            head, _, answer = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
            self.send_response(int(headers.pop("Status", "200").split()[0]))
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *words: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Server(folder, server.server_address[1], "http" if tls is None else "https")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
