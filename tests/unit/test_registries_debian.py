"""Pushing into a real registry of artifacts on loopback (Debian's), and what the real skopeo says of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import debianregistry

from nixgen.oci.model import CONFIG, LAYER, Blob, Image, Index
from nixgen.registries.client import Registry
from nixgen.registries.place import Place
from nixgen.registries.push import Document, attach, push, send

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def programs() -> Path:
    return debianregistry.programs()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of an empty registry that knows one user."""
    users = "mona:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n"
    (tmp_path / "users").write_text(users)
    with debianregistry.registry(tmp_path, auth={"htpasswd": {"realm": "r", "path": f"{tmp_path}/users"}}) as address:
        yield address


def image(code: bytes, architecture: str = "amd64") -> Image:
    config = {"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
    layers = [Blob.of_bytes(text, LAYER) for text in (b"base" * 500_000, b"", code)]
    return Image.of(Blob.of(config, CONFIG), layers)


def test_skopeo_gets_what_was_pushed(
    served: str, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def skopeo(*words: str) -> str:
        done = subprocess.run([programs / "skopeo", *words], check=True, capture_output=True, text=True)
        return done.stdout

    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    skopeo("login", "--tls-verify=false", "--username", "mona", "--password", "secret", served)
    registry = Registry(Place.of(f"{served}/team/demo"), "pull,push")
    first, second = image(b"code 1"), image(b"code 2")
    push(registry, first, ["1.0"])
    assert push(registry, second, ["1.1", "latest"]) == len(b"code 2")
    push(registry, Index.of([first, image(b"code 1", "arm64")]), ["both"])
    place = f"docker://{served}/team/demo"
    told = json.loads(skopeo("inspect", "--tls-verify=false", "--no-tags", f"{place}:latest"))
    assert told["Digest"] == second.manifest.descriptor.digest
    assert told["Layers"] == [blob.descriptor.digest for blob in second.blobs[1:]]
    raw = skopeo("inspect", "--tls-verify=false", "--raw", f"{place}:both")
    assert len(json.loads(raw)["manifests"]) == 2
    found = attach(registry, second.manifest.descriptor, Document("sbom.json", "application/vnd.cyclonedx+json", b"{}"))
    tag = second.manifest.descriptor.digest.replace(":", "-")
    rows = json.loads(skopeo("inspect", "--tls-verify=false", "--raw", f"{place}:{tag}"))["manifests"]
    assert [row["digest"] for row in rows] == [found.digest]
    registry.close()

    assert send(Place.of(f"{served}/team/other"), first, ["1.0"]) == sum(one.descriptor.size for one in first.blobs)
    assert send(Place.of(f"{served}/third"), first, ["1.0"]) == 0
    assert json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{served}/third:1.0"))["Layers"]
