"""What the tests of sources share: a server of files, and how a source is pinned or refused."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nixgen.artifacts.model import ArtifactSpec, PinnedArtifact
from nixgen.artifacts.sources import Context, resolve
from nixgen.artifacts.store import Folder
from nixgen.errors import NixgenError, UserError
from support.loopback import Asked, Reply, listen, ranged

WHERE = "models.toml: models.vad"
DATA = bytes(range(256)) * 12_000  # 3 MB: more than what is read again rather than resumed


@dataclass
class Files:
    """A server of files by path. ``cuts`` are the bytes after which the next answers break off."""

    files: dict[str, bytes] = field(default_factory=dict)
    etag: str | None = '"one"'
    cuts: list[int] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    tamper: Callable[[Asked, Reply], Reply | None] | None = None
    address: str = ""

    def answer(self, asked: Asked, body: bytes) -> Reply:
        del body
        self.asked.append(asked)
        if asked.path not in self.files:
            return Reply(404)
        reply = ranged(asked, self.files[asked.path], {"ETag": self.etag} if self.etag else {})
        if self.cuts:
            reply.cut = self.cuts.pop(0)
        return (self.tamper(asked, reply) if self.tamper else None) or reply

    def ranges(self) -> list[str | None]:
        return [asked.headers.get("Range") for asked in self.asked]


@contextlib.contextmanager
def file_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Files]:
    """A server that has DATA as a model, for somebody without any login, and without waiting."""
    for name in ("NETRC", "GH_TOKEN", "GITHUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("time.sleep", lambda _: None)
    files = Files({"/models/vad.onnx": DATA})
    with listen(files.answer) as files.address:
        yield files


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def spec(source: str, **changes: Any) -> ArtifactSpec:
    return dataclasses.replace(ArtifactSpec("models", "vad", source, where=WHERE), **changes)


def context(root: Path) -> Context:
    return Context(root, Folder(root / "held"))


def pin(root: Path, source: str, **changes: Any) -> PinnedArtifact:
    return resolve(spec(source, **changes), None, context(root))


def refusal(root: Path, source: str, kind: type[NixgenError] = UserError, **changes: Any) -> str:
    with pytest.raises(kind) as caught:
        pin(root, source, **changes)
    return str(caught.value)


def archive(kind: str, members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    if kind in ("zip", "whl"):
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zipped:
            for name, content in members.items():
                zipped.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), content)
        return out.getvalue()
    with tarfile.open(None, f"w:{kind.partition('.')[2]}", out) as tarred:  # type: ignore[call-overload]
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tarred.addfile(entry, io.BytesIO(content))
    return out.getvalue()
