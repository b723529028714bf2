"""Fixtures of the unit tests: goldens, and a file system that can be full or read-only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import remembered

from nixgen.errors import MachineError
from nixgen.lock import newest

GOLDEN = Path(__file__).resolve().parent.parent / "golden"


@pytest.fixture(autouse=True)
def _unsynced(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits until the disk has what was written, but those of the guard, whose stamps see it."""
    if not request.path.name.startswith("test_guard"):
        monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture(autouse=True)
def _remembered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """uv is asked once about what many tests begin with, but where uv itself is what a test is about."""
    if not request.path.name.startswith("test_resolve"):
        remembered.answers(monkeypatch)


@pytest.fixture(autouse=True)
def _github(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks GitHub for a newer nixpkgs."""

    def unreached(_reference: str) -> None:
        raise MachineError.of("nix", "no network")

    if request.path.name != "test_lock_newest.py":
        monkeypatch.setattr(newest, "_locked", unreached)


@pytest.fixture(autouse=True)
def _own_memory(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered of logs ends with the test: the next run has others in folders of the same name."""
    if request.path.name.startswith(("test_registry", "test_artifacts_re")):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "memory"))


@pytest.fixture
def golden(*, update_goldens: bool) -> Callable[[str, str | bytes], None]:
    """Compares a text with the golden file of that name, or writes it with --update-goldens."""

    def compare(name: str, actual: str | bytes) -> None:
        data = actual.encode() if isinstance(actual, str) else actual
        path = GOLDEN / name
        if update_goldens:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        assert path.exists(), f"{path} is missing: pytest tests/unit --update-goldens"
        assert data.decode() == path.read_bytes().decode()

    return compare


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own; skipped where the tests may not mount one."""
    place = tmp_path / "mounted"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "nixgen-test", place], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("may not mount a file system here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)
