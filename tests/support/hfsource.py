"""What the tests of hf: sources share: the double of the hub with one model, and how that is pinned or refused."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nixgen.artifacts.model import ArtifactSpec, PinnedArtifact
from nixgen.artifacts.sources import Context, resolve
from nixgen.artifacts.store import Folder
from nixgen.errors import NixgenError, UserError
from support.hub import Big, Files, Hub, serve

FILES: Files = {
    ".gitattributes": b"*.safetensors filter=lfs\n",
    "README.md": b"# Model\n",
    "config.json": b'{"model_type": "bert"}\n',
    "empty.txt": b"",
    "model.safetensors": Big(b"weights" * 1000, xet=True),
    "onnx/model.onnx": Big(b"\0onnx" * 300),
}
WHERE = "models.toml: models.minilm"


@contextlib.contextmanager
def a_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """The double with one model, for somebody without any login, and without waiting."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HOME", "HF_OIDC_RESOURCE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("time.sleep", lambda _: None)
    with serve() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.endpoint)
        running.repo("org/model", FILES, card={"license": "apache-2.0"})
        yield running


def spec(**changes: Any) -> ArtifactSpec:
    made = ArtifactSpec("models", "minilm", "hf:org/model", layout=("hf",), where=WHERE)
    return dataclasses.replace(made, **changes)


def pin(tmp_path: Path, previous: PinnedArtifact | None = None, **changes: Any) -> PinnedArtifact:
    return resolve(spec(**changes), previous, Context(tmp_path, Folder(tmp_path / "held")))


def refusal(tmp_path: Path, kind: type[NixgenError] = UserError, **changes: Any) -> str:
    with pytest.raises(kind) as caught:
        pin(tmp_path, **changes)
    assert type(caught.value) in (kind, *kind.__subclasses__())
    return str(caught.value)


def commit_of(hub: Hub, name: str = "org/model", kind: str = "model") -> str:
    return hub.repos[kind, name].refs["main"]
