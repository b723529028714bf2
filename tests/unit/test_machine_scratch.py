"""Folders in which something is made: one that a killed process left is removed by the next one."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nixgen.machine import scratch

HOLD = """
import sys
from pathlib import Path
from nixgen.machine import scratch
with scratch.folder(Path(sys.argv[1])) as made:
    print(made, flush=True)
    input()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Callable[[], tuple[subprocess.Popen[str], Path]]:
    """Another process that has a folder."""

    def start() -> tuple[subprocess.Popen[str], Path]:
        words = [sys.executable, "-c", HOLD, str(tmp_path)]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        return process, Path(process.stdout.readline().strip())

    return start


def test_what_a_killed_process_left_is_removed_and_no_other(
    holder: Callable[[], tuple[subprocess.Popen[str], Path]], tmp_path: Path
) -> None:
    alive, held = holder()
    killed, left = holder()
    (left / "inner").mkdir(mode=0o500)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    mine = tmp_path / ".nixgen-mine"
    mine.mkdir()
    (tmp_path / ".nixgen-link.new").symlink_to(mine)
    with scratch.folder(tmp_path) as made:
        assert not left.exists()
        assert held.is_dir()
        assert made.stat().st_mode & 0o777 == 0o700
        (made / "file").touch()
    alive.communicate("\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".nixgen-link.new", ".nixgen-mine"]


def test_what_is_renamed_stays(tmp_path: Path) -> None:
    with scratch.folder(tmp_path / "new") as made:
        made.rename(tmp_path / "new/kept")
        with scratch.folder(tmp_path / "new"):
            pass
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["kept"]


def test_where_no_folder_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"), scratch.folder(tmp_path / "file"):
        pass


def test_one_that_is_taken_for_abandoned_at_once_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, made_first = scratch.tempfile.mkdtemp, []

    def taken(**given: object) -> str:
        made_first.append(make(**given))  # type: ignore[call-overload]
        if len(made_first) == 1:
            Path(made_first[0]).rmdir()
        return str(made_first[-1])

    monkeypatch.setattr(scratch.tempfile, "mkdtemp", taken)
    with scratch.folder(tmp_path) as made:
        assert [path.name for path in tmp_path.iterdir()] == [made.name]
