"""A small Debian archive, signed and served on loopback, for tests of what apt makes of it."""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

from nixgen.bases.debian.apt import Apt
from nixgen.machine.process import Result

if TYPE_CHECKING:
    import pytest

ARCHITECTURES = ("amd64", "arm64")


def deb(files: dict[str, bytes], *, packed: str = "xz") -> bytes:
    """A .deb (deb(5)) with these files, its data packed with xz, gz or zst."""
    members = [
        ("debian-binary", b"2.0\n"),
        ("control.tar.xz", _tar({}, "xz")),
        (f"data.tar.{packed}", _tar(files, packed)),
    ]
    out = io.BytesIO(b"!<arch>\n")
    out.seek(0, io.SEEK_END)
    for name, content in members:
        out.write(f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode())
        out.write(content + b"\n" * (len(content) % 2))
    return out.getvalue()


def _tar(files: dict[str, bytes], packed: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz" if packed == "xz" else "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    if packed == "zst":
        plain = gzip.decompress(buffer.getvalue())
        return subprocess.run(["zstd", "-q"], input=plain, capture_output=True, check=True).stdout
    return buffer.getvalue()


@dataclass
class Archive:
    """The archive's folder, its suites' packages, and the key that signs it."""

    folder: Path
    home: Path
    keyring: Path
    address: str = ""
    packages: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    """By architecture and "all", the Contents index of each suite that has one: lines of a path and its packages."""
    published: int = 0
    signed: dict[str, bytes] = field(default_factory=dict)
    fetched: dict[object, dict[str, tuple[bytes, float]]] = field(default_factory=dict)
    """What apt fetched: files and their times."""

    def add(self, suite: str, name: str, version: str = "1.0-1", *, content: bytes = b"-", **fields: str) -> None:
        """A package for all architectures of a suite; ``fields`` are control fields with _ for -."""
        for architecture in ARCHITECTURES:
            path = f"pool/main/{name}/{name}_{version.replace(':', '%3a')}_{architecture}.deb"
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_bytes(content)
            lines = {"Package": name, "Version": version, "Architecture": architecture, "Maintainer": "nobody"}
            lines |= {key.replace("_", "-"): value for key, value in fields.items()}
            lines |= {"Filename": path, "Size": str(len(content)), "SHA256": hashlib.sha256(content).hexdigest()}
            lines |= {"Description": "for tests"}
            stanza = "".join(f"{key}: {value}\n" for key, value in lines.items())
            self.packages.setdefault(f"{suite} {architecture}", []).append(stanza)

    def publish(self, suite: str, components: tuple[str, ...] = ("main",), *, until: str = "") -> None:
        """Write and sign the suite's index, valid ``until`` a date: all packages are in the first of its components."""
        root = self.folder / "dists" / suite
        entries = []
        for architecture in ARCHITECTURES:
            text = "\n".join(self.packages.get(f"{suite} {architecture}", [])).encode()
            for component in components:
                content = text if component == components[0] else b""
                path = root / component / f"binary-{architecture}" / "Packages"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                entries.append(f" {hashlib.sha256(content).hexdigest()} {len(content)} {path.relative_to(root)}")
        for architecture, text in self.files.items():
            path = root / components[0] / f"Contents-{architecture}"
            path.write_text(text)
            digest = hashlib.sha256(text.encode()).hexdigest()
            entries.append(f" {digest} {len(text.encode())} {path.relative_to(root)}")
        release = [f"Suite: {suite}", f"Codename: {suite}", "Date: Sat, 01 Aug 2026 00:00:00 UTC"]
        release += [f"Valid-Until: {until}"] if until else []
        release += [
            f"Architectures: {' '.join([*ARCHITECTURES, *(['all'] if 'all' in self.files else [])])}",
            f"Components: {' '.join(components)}",
            "SHA256:",
            *entries,
        ]
        text = "\n".join(release) + "\n"
        if text not in self.signed:
            self._gpg("--clearsign", "--output", str(root / "InRelease"), "--yes", data=text)
            self.signed[text] = (root / "InRelease").read_bytes()
        (root / "InRelease").write_bytes(self.signed[text])
        # apt asks for what changed since a time in whole seconds: each index is a minute newer than the one before.
        self.published += 1
        for path in [root / "InRelease", *root.rglob("Packages"), *root.rglob("Contents-*")]:
            os.utime(path, (self.published * 60 + 1_700_000_000,) * 2)

    def remembered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """apt fetches an index once for all its folders, as long as it is signed with the same text."""
        run = Apt._run

        def remembering(apt: Apt, *command: str) -> Result:
            if command[:2] != ("apt-get", "update"):
                return run(apt, *command)
            sources, lists = (apt._cache / "etc/nixgen.sources").read_text(), apt._cache / "state/lists"
            signed = tuple((path, path.read_bytes()) for path in sorted(self.folder.rglob("InRelease")))
            key = (apt._architecture, apt._index, sources, signed)
            if key not in self.fetched:
                done = run(apt, *command)
                if done.code or done.err:
                    return done
                files = [path for path in lists.iterdir() if path.is_file()]
                self.fetched[key] = {path.name: (path.read_bytes(), path.stat().st_mtime) for path in files}
            for name, (content, changed) in self.fetched[key].items():
                (lists / name).write_bytes(content)
                os.utime(lists / name, (changed, changed))
            return Result(command, 0, "", "")

        monkeypatch.setattr(Apt, "_run", remembering)

    def make_key(self) -> None:
        """A key of this archive's own."""
        self.home.mkdir(mode=0o700)
        self._gpg("--passphrase", "", "--quick-generate-key", "archive@example.org", "ed25519", "sign", "never")
        self._gpg("--export", "--output", str(self.keyring))

    def _gpg(self, *arguments: str, data: str = "") -> None:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--quiet", *arguments]
        subprocess.run(command, input=data, text=True, check=True, capture_output=True)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name that http.server gives it
        pass


@contextmanager
def serve_archive(folder: Path) -> Iterator[Archive]:
    """An empty signed archive under ``folder``, served on a free port of 127.0.0.1."""
    archive = Archive(folder / "debian", folder / "gnupg", folder / "archive.gpg")
    archive.folder.mkdir()
    archive.make_key()
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    archive.address = f"http://127.0.0.1:{server.server_address[1]}/debian"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield archive
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        subprocess.run(["gpgconf", "--homedir", str(archive.home), "--kill", "all"], check=False, capture_output=True)
