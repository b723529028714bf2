"""What default.nix is made from, and so may not change unnoticed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from support.plans import NIXPKGS

from nixgen.artifacts.manifest import read_manifest
from nixgen.generate import Pins, digests
from nixgen.model import Lock

SERVICE = 'version = 1\n[services.api]\ncommand = "python -m app"\n'


def given(folder: Path, manifest: str) -> dict[str, str]:
    (folder / "uv.lock").write_bytes(b"version = 1\n")
    (folder / "models.toml").write_text(manifest)
    return digests(folder, Pins(Lock(NIXPKGS), b"{}", {}), read_manifest(folder))


def test_models_toml_counts_when_it_asks_for_something(tmp_path: Path) -> None:
    found = given(tmp_path, SERVICE)
    contents = {"uv.lock": b"version = 1\n", "nixgen.lock": b"{}", "models.toml": SERVICE.encode()}
    assert found == {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}


def test_an_empty_models_toml_does_not_count(tmp_path: Path) -> None:
    assert sorted(given(tmp_path, "version = 1\n# [models.m]\n")) == ["nixgen.lock", "uv.lock"]
