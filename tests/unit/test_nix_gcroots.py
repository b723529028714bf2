"""Folders for links that keep store paths: one for each command, and none is left for long."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nixgen.nix import gcroots

HOLD = """
from nixgen.nix import gcroots as roots
with roots.temporary() as folder:
    print(folder, flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def holder() -> tuple[subprocess.Popen[str], Path]:
    """Another process that has a folder."""
    root = str(Path(__file__).resolve().parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_it_is_there_while_it_is_needed(cache: Path) -> None:
    with gcroots.temporary() as folder:
        assert folder.parent == cache / "nixgen" / "roots"
        (folder / "link").symlink_to("/nowhere")
    assert list((cache / "nixgen" / "roots").iterdir()) == []


def test_what_a_killed_command_left_is_removed_and_no_other() -> None:
    alive, held = holder()
    killed, left = holder()
    (left / "link").symlink_to("/nowhere")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert left.is_dir()
    with gcroots.temporary():
        assert not left.exists()
        assert held.is_dir()
    alive.communicate("\n")
    assert alive.returncode == 0
    assert not held.exists()


def test_without_a_cache_it_is_elsewhere(cache: Path) -> None:
    cache.write_text("no folder")
    with gcroots.temporary() as folder:
        assert folder.is_dir()
        assert not folder.is_relative_to(cache)
    assert not folder.exists()
