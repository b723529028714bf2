"""A published version in a project, from its publishing to the bytes in the store: registry: sources on real Nix."""

from __future__ import annotations

import hashlib
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from checking import Checked, make

from nixgen.runs import recordfile
from nixgen.runs.model import NAME as RECORD
from nixgen.runs.model import Output, Run

if TYPE_CHECKING:
    from support.index import Index
    from support.nix import Nix

ROWS = '[models.fraud]\nsource = "registry:fraud@prod"\ninclude = ["model.bin"]\n'


def recorded(checked: Checked, number: int, content: bytes) -> str:
    """A run that made model.bin."""
    (checked.folder / "model.bin").write_bytes(content)
    made = Output("model.bin", len(content), hashlib.sha256(content).hexdigest())
    name, started = f"20261103-12000{number}-abcdef", datetime(2026, 11, 3, 12, tzinfo=UTC)
    run = Run(id=name, status="finished", command=("train",), started=started, exit=0, outputs=(made,))
    folder = checked.folder / "runs" / name
    folder.mkdir(parents=True)
    (folder / RECORD).write_bytes(recordfile.dump(run))
    return name


def must(checked: Checked, *words: str) -> str:
    done = checked.run(*words)
    assert done.ok, done.tail()
    return done.stdout + done.stderr


def published(checked: Checked, number: int, content: bytes) -> None:
    must(checked, "registry", "publish", recorded(checked, number, content), "fraud", "--version", f"{number}.0.0")
    must(checked, "registry", "promote", f"fraud@{number}.0.0", "prod")


def built(checked: Checked) -> bytes:
    """The model's file as a program finds it, verified."""
    folder = Path(checked.nix.run("nix-build", "--no-out-link", "-A", "models.fraud", checked.folder).stdout.strip())
    assert must(checked, "verify", "fraud", "--path", str(folder)).startswith("verified: ")
    return checked.nix.real(checked.nix.real(folder / "model.bin").readlink()).read_bytes()


@pytest.mark.one_nix
def test_a_published_version_is_locked_built_verified_and_moved(
    nix28: Nix, pins: Path, plums: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    checked = make(tmp_path / "demo", pins, plums, nix28)
    must(checked, "registry", "init")
    published(checked, 1, b"first weights")
    (checked.folder / "models.toml").write_text(f"version = 1\n{ROWS}")
    assert "Pinned models.fraud: registry:fraud@prod at 1.0.0, 1 file, 13 B.\n" in must(checked, "lock")
    must(checked, "generate")
    assert built(checked) == b"first weights"

    # The alias moves, and the pin does not until that is asked. What Nix cannot fetch, lock puts into the store.
    published(checked, 2, b"better weights")
    shutil.copytree(checked.folder / "registry", tmp_path / "models", symlinks=True)
    assert "stays 1.0.0, and registry:fraud@prod is 2.0.0 now" in must(checked, "lock")
    must(checked, "generate", "--check")
    key = next((tmp_path / "config").rglob("log.pub")).read_text().strip()
    must(checked, "registry", "init", "--registry", f"{tmp_path}/models", "--log-key", key)
    (checked.folder / "models.toml").write_text(f'version = 1\n{ROWS}registry = "file://{tmp_path}/models"\n')
    said = must(checked, "lock", "--upgrade", "fraud")
    assert "  version: 1.0.0 → 2.0.0\n" in said
    must(checked, "generate")
    shutil.rmtree(tmp_path / "models")
    assert built(checked) == b"better weights"
