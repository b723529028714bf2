"""nixgen init that is interrupted, killed, run twice at once, or may not write: nothing is half written."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.initproject import (
    made,
    tree,
)
from support.program import nixgen
from support.waiting import without_progress

from nixgen.generate import planning
from nixgen.init import scaffold
from nixgen.init.setup import Options, init
from nixgen.machine import files


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return made(tmp_path / "work/demo")


@pytest.mark.parametrize("moment", ["plan", "scaffold", "write"])
def test_an_interrupt_leaves_the_project_as_it_was(project: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    target, name = {
        "plan": (planning, "plan"),
        "scaffold": (scaffold, "scaffold"),
        "write": (files.os, "fsync"),  # type: ignore[attr-defined]
    }[moment]
    monkeypatch.setattr(target, name, interrupt)
    before = tree(project)
    with pytest.raises(KeyboardInterrupt):
        init(project, Options())
    assert tree(project) == before
    assert not (project / "nix").exists()


def command(root: Path, *arguments: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "nixgen", *arguments, "--project", str(root)]
    return subprocess.Popen(words, cwd=root, stderr=subprocess.PIPE, text=True)


@pytest.mark.heavy
def test_two_runs_at_once(project: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone/demo"
    shutil.copytree(project, alone)
    init(alone, Options())
    both = [command(project, "init"), command(project, "init")]
    said = [one.communicate()[1] for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert tree(project) == tree(alone)


@pytest.mark.heavy
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_at_any_moment_leaves_nothing_half_written(
    project: Path, tmp_path: Path, number: signal.Signals
) -> None:
    before = tree(project)
    shutil.copytree(project, tmp_path / "alone/demo")
    init(tmp_path / "alone/demo", Options())
    after = tree(tmp_path / "alone/demo")
    for moment in range(8):
        running = command(project, "init")
        try:
            said = running.communicate(timeout=0.08 * moment)[1]
        except subprocess.TimeoutExpired:
            running.send_signal(number)
            said = running.communicate()[1]
        assert running.returncode not in {2, 3}
        found = {name: data for name, data in tree(project).items() if not name.endswith(files.TEMPORARY)}
        assert before.keys() <= found.keys() <= after.keys()
        assert all(data in {before.get(name), after[name]} for name, data in found.items())
        if number != signal.SIGKILL:
            assert tree(project) in (before, after)
            if "nothing in the project was changed" in said:
                assert tree(project) == before
        if found == after:
            break
    init(project, Options())
    assert tree(project) == after


@pytest.mark.heavy
def test_a_read_only_project(mounted: Path, project: Path) -> None:
    root = mounted / "demo"
    shutil.copytree(project, root)
    subprocess.run(["mount", "-o", "remount,ro", mounted], check=True)
    running = command(root, "init")
    said = without_progress(running.communicate()[1]).splitlines()
    assert said[-2:] == [
        f"error: {root}: cannot be written (Read-only file system); nothing was changed",
        "  hint: make the folder writable, or work on a copy",
    ]
    assert running.returncode == 3


def test_check_at_the_command_line(project: Path) -> None:
    init(project, Options())
    assert nixgen("generate", "--check", cwd=project).returncode == 0
    (project / "default.nix").write_text("# Written by nixgen\n")
    done = nixgen("generate", "--check", cwd=project)
    assert without_progress(done.stderr).splitlines() == [
        "error: default.nix: is stale: nixgen would write something else",
        "  hint: write them again: nixgen sync",
    ]
    assert done.returncode == 1
