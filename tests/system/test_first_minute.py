"""The scripts behind `make demo`, as a person who is not root: what cannot work ends in the first second (case 50)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.nix import ROOT

NOBODY = 65534
PREPARE = """
set -eu
root=$1; . "$root/lib.sh"
"$2"
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may read, with lib.sh and a program named nix that does nothing."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        shutil.copy(ROOT / ".ci" / "lib.sh", path)
        (path / "bin").mkdir()
        (path / "bin" / "nix").write_text("#!/bin/sh\n")
        (path / "bin" / "nix").chmod(0o755)
        yield path


def _prepare(folder: Path, step: str = "prepare_nix") -> tuple[int, list[str]]:
    """What a step ends with and says to a user who is not root, with Nix's state and store in the folder."""
    drop = [] if os.geteuid() else ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    env = {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "NIX_STATE_DIR": str(folder / "state"),
        "NIX_STORE_DIR": str(folder / "store"),
    }
    done = subprocess.run(
        [*drop, "sh", "-c", PREPARE, "sh", str(folder), step],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    return done.returncode, done.stderr.splitlines()


def _socket(folder: Path) -> None:
    """The daemon's socket, with nobody behind it."""
    path = folder / "state" / "daemon-socket"
    path.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path / "socket"))


def test_who_is_not_in_nix_users_is_told_the_group(folder: Path) -> None:
    _socket(folder)
    (folder / "state" / "daemon-socket").chmod(0o000)
    code, said = _prepare(folder)
    (folder / "state" / "daemon-socket").chmod(0o755)
    assert code == 3
    assert said[0].startswith("error: Nix's daemon does not let ")
    assert said[1].startswith("  hint: sudo usermod -aG nix-users ")
    assert said[2:] == ["    then log in again"]


def test_a_daemon_that_runs_is_used(folder: Path) -> None:
    _socket(folder)
    (folder / "state").chmod(0o555)
    assert _prepare(folder) == (0, [])


def test_a_state_folder_from_before_the_daemon_is_handed_to_it(folder: Path) -> None:
    """`make demo`, then the README's first step: Nix goes past the daemon, "opening lock file: Permission denied"."""
    _socket(folder)
    (folder / "state").chmod(0o777)
    (folder / "store").mkdir(mode=0o555)
    code, said = _prepare(folder)
    assert code == 3
    assert said[0].startswith(f"error: Nix's daemon runs, and {folder}/state is still ")
    assert said[1:] == ["  hint: hand it to the daemon: sudo chown -R root /nix"]


def test_a_daemon_that_does_not_run_is_started_as_this_machine_starts_it(folder: Path) -> None:
    (folder / "state").mkdir(mode=0o555)
    code, said = _prepare(folder)
    start = "systemctl start nix-daemon" if Path("/run/systemd/system").is_dir() else "sh -c 'nix-daemon &'"
    assert code == 3
    assert said[0].endswith("and no Nix daemon runs")
    assert said[1:] == [f"  hint: start the daemon: sudo {start}"]


def test_a_daemon_that_does_not_answer_is_found_before_anything_is_made(folder: Path) -> None:
    """A socket that a daemon left behind: Nix evaluates without a word, and fails when it builds."""
    program = folder / "bin" / "nix-instantiate"
    program.write_text(
        """#!/bin/sh
case "$*" in *--read-write-mode*toFile*) ;; *) exit 0 ;; esac
echo "error: cannot connect to socket at '/nix/var/nix/daemon-socket/socket': Connection refused" >&2
exit 1
"""
    )
    program.chmod(0o755)
    code, said = _prepare(folder, "check_nix")
    assert code == 3
    assert said[0] == "error: Nix's daemon does not answer"
    assert said[1].startswith("  hint: start it: sudo ")
