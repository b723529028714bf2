"""``nixgen verify`` and ``nixgen run`` over a real model in a real store, from outside the project's shell."""

from __future__ import annotations

import fcntl
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.nix import ROOT, SYSTEM, Output
from support.project import Project
from support.tree import flip, in_memory

if TYPE_CHECKING:
    from support.nix import Nix

pytestmark = [pytest.mark.network, pytest.mark.skipif(not SYSTEM.endswith("-linux"), reason="the debian base is Linux")]


@pytest.fixture
def _alone(stores: Path) -> Iterator[None]:
    """Other tests use this model in the same stores, and it is changed for a while here."""
    with (stores / "models.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.mark.usefixtures("_alone")
def test_a_command_behind_the_guard(nix: Nix, tmp_path: Path) -> None:
    project = Project.example("inference", tmp_path)
    path = nix.build(project.folder, "models.vad")
    nix.build(project.folder, "models-all")

    def nixgen(*arguments: str) -> Output:
        environment = {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
        return nix.inside(sys.executable, "-m", "nixgen", *arguments, cwd=project.folder, check=False, **environment)

    verified = nixgen("verify")
    assert verified.stdout.startswith("verified: 2.2 MiB in 1 file, "), verified.tail()
    assert "Nix: asked" in verified.stdout
    program = "import onnxruntime, os; print(os.path.isdir(os.environ['NIXGEN_MODELS'] + '/vad'))"
    done = nixgen("run", "--", "python", "-c", program)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.tail()
    time.sleep(2.1)  # what is newer is not stamped, and a sandbox may have linked it just now
    assert nixgen("run", "--", "true").returncode == 0
    done = nixgen("run", "--report", "json", "--", "true")
    model = nix.real(nix.inside("readlink", "-f", path / "silero_vad.onnx").stdout.strip())
    said = "not written: a file is in memory (tmpfs)" if in_memory(model) else "fresh"
    assert json.loads(done.stderr)["stamp"] == said, done.tail()

    flip(model, 1_000_000)
    try:
        for options in ((), ("--no-stamp",)):
            done = nixgen("run", *options, "--", "echo", "started")
            assert (done.returncode, done.stdout) == (79, ""), done.tail()
            assert "models.vad: silero_vad.onnx: is changed: SHA-256 " in done.stderr
        assert nixgen("verify").returncode == 1
    finally:
        flip(model, 1_000_000)
    assert nixgen("run", "--", "sh", "-c", "exit 5").returncode == 5


def test_what_is_not_in_the_store_yet_is_told(nix: Nix, store: Path, tmp_path: Path) -> None:
    project = Project.example("inference", tmp_path)
    done = nix.with_store(store).inside(
        sys.executable, "-m", "nixgen", "verify", cwd=project.folder, check=False, PYTHONPATH=str(ROOT)
    )
    assert (done.returncode, done.stderr) == (
        1,
        "error: models.vad: .: is missing\n"
        "  hint: get the files, then enter the shell: nixgen model fetch vad; nix develop\n",
    )
