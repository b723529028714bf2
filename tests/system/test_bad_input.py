"""Bad input, as a user meets it: what is said, what mends it, the exit code, and that nothing was half written.

Where no process is the point, nixgen runs in this one (support.program).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from support import program, remembered
from support.index import serve
from support.nix import ROOT, Output
from support.project import Project
from support.waiting import without_progress
from support.wheels import make_wheel

DONE, FINDING, USER, MACHINE = 0, 1, 2, 3


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project with one dependency from an index on loopback, on the nixpkgs base, which needs no network."""
    folder = tmp_path_factory.mktemp("made")
    make_wheel(folder / "wheels", "greeting", "1.0", {"greeting.py": "TEXT = 'hello'\n"})
    with serve(folder / "wheels") as index:
        made = Project.make(folder / "demo", "greeting", index=index.simple)
        made.must("init", "--base", "nixpkgs", "--python", "3.13")
        yield made


class Here(Project):
    """A project in which nixgen runs in this process."""

    def nixgen(self, *argv: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Output:
        done = program.nixgen(*argv, cwd=cwd or self.folder, **(env or {}))
        return Output(("nixgen", *argv), done.returncode, done.stdout, without_progress(done.stderr))


@pytest.fixture(autouse=True)
def _remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    remembered.answers(monkeypatch)


@pytest.fixture
def project(made: Project, tmp_path: Path) -> Here:
    """A copy of it."""
    shutil.copytree(made.folder, tmp_path / "demo", symlinks=True)
    return Here(tmp_path / "demo")


def refused(said: Output, code: int, *sentences: str) -> None:
    """Checks the exit code, that each sentence is on stderr, and that no traceback is."""
    assert said.returncode == code, said.tail()
    assert "Traceback" not in said.stderr, said.tail()
    for sentence in sentences:
        assert sentence in said.stderr, said.tail()


@pytest.mark.parametrize("command", ["init", "lock", "generate", "show"])
def test_no_project_at_all(tmp_path: Path, command: str) -> None:
    said = (Project if command == "init" else Here)(tmp_path).nixgen(command)
    refused(said, USER, "has a pyproject.toml and a uv.lock", "go to a uv project, or make one: uv init")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["lock", "generate", "show"])
def test_no_uv_lock(project: Project, command: str) -> None:
    (project.folder / "uv.lock").unlink()
    refused(project.nixgen(command), USER, "uv.lock: is missing", "make it: uv lock")


@pytest.mark.parametrize("command", ["generate", "show"])
def test_uv_lock_out_of_date_with_pyproject(project: Project, command: str) -> None:
    project.replace('"greeting"', '"greeting", "another"')
    before = project.files()
    refused(project.nixgen(command), USER, "uv.lock: is out of date with pyproject.toml", "nixgen sync")
    assert project.files() == before


@pytest.mark.parametrize("file", ["pyproject.toml", "uv.lock"])
@pytest.mark.parametrize("text", ["[project\n", 'version = "a\n', "\x00"], ids=["bracket", "quote", "zero"])
def test_unreadable_toml(project: Project, file: str, text: str) -> None:
    (project.folder / file).write_text("# a comment\n" + text)
    refused(project.nixgen("generate"), USER, f"{file}: is not TOML that can be read", "line 2")


def test_not_utf8(project: Project) -> None:
    (project.folder / "pyproject.toml").write_bytes(b"name = '\xff'\n")
    refused(project.nixgen("generate"), USER, "pyproject.toml: is not UTF-8 text (byte 8)", "save it as UTF-8")


def test_unknown_version_of_uv_lock(project: Project) -> None:
    project.replace("version = 1\n", "version = 99\n", "uv.lock")
    said = project.nixgen("generate")
    refused(said, USER, "uv.lock: version: 99 is not a version that this nixgen knows", "uv lock")


def test_unknown_version_of_nixgen_lock(project: Project) -> None:
    project.replace('"version": 1', '"version": 99', "nixgen.lock")
    refused(project.nixgen("generate"), USER, "nixgen.lock: version: is 99, and this nixgen knows 1", "nixgen lock")


@pytest.mark.parametrize(("key", "nearest"), [("librarys", "libraries"), ("pyhton", "python"), ("group", "groups")])
def test_unknown_setting_names_the_nearest(project: Project, key: str, nearest: str) -> None:
    project.replace("[tool.nixgen]\n", f"[tool.nixgen]\n{key} = []\n")
    said = project.nixgen("generate")
    refused(said, USER, f"pyproject.toml: tool.nixgen.{key}: is not a setting of nixgen", nearest)


@pytest.mark.parametrize("base", ["nixpkgs", "debian"])
def test_a_python_that_no_base_has(tmp_path: Path, base: str) -> None:
    project = Here.make(tmp_path / "demo")
    project.replace(">=3.11", ">=4.0")
    said = project.nixgen("init", "--base", base)
    refused(said, USER, f'">=4.0" allows none of the Pythons that the {base} base has')


@pytest.mark.parametrize("command", ["init", "generate", "show", "lock"])
def test_credentials_in_an_index_address(project: Project, command: str) -> None:
    project.append('\n[[tool.uv.index]]\nname = "own"\nurl = "https://user:s3cret@example.org/simple"\n')
    said = project.nixgen(command)
    refused(said, USER, "pyproject.toml: carries credentials in https://", "~/.netrc: machine HOST login USER")
    assert "s3cret" not in said.stdout + said.stderr
    assert not any(b"s3cret" in data for name, data in project.files().items() if name != "pyproject.toml")


def test_credentials_in_uv_lock(project: Project) -> None:
    text = (project.folder / "uv.lock").read_text()
    (project.folder / "uv.lock").write_text(text.replace("http://127.0.0.1", "http://user:s3cret@127.0.0.1"))
    said = project.nixgen("generate")
    refused(said, USER, "uv.lock: carries credentials in", "~/.netrc")
    assert "s3cret" not in said.stdout + said.stderr


def test_a_file_of_somebody_elses_is_kept(project: Project) -> None:
    mine = "{ pkgs ? import <nixpkgs> { } }: pkgs.hello\n"
    (project.folder / "default.nix").write_text(mine)
    refused(project.nixgen("generate"), USER, "default.nix: is in the way, and nixgen did not write it", "--force")
    assert (project.folder / "default.nix").read_text() == mine
    said = project.must("generate", "--force")
    assert "default.nix was not written by nixgen: it is replaced (--force)." in said.stderr


def test_check_finds_what_is_stale_and_changes_nothing(project: Project) -> None:
    assert project.nixgen("generate", "--check").returncode == DONE
    project.replace("greeting", "grating", "default.nix")
    (project.folder / "nix" / "nixgen" / "base.nix").unlink()
    before = project.files()
    said = project.nixgen("generate", "--check")
    refused(said, FINDING, "default.nix: is stale", "nix/nixgen/base.nix: is missing", "nixgen sync")
    assert project.files() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
@pytest.mark.heavy
def test_a_read_only_folder(project: Project) -> None:
    project.replace("greeting", "grating", "default.nix")
    before = project.files()
    said = _mounted(project, "mount --bind . . && mount -o remount,bind,ro .", "generate", "--force")
    refused(said, MACHINE, "cannot be written (Read-only file system); nothing was changed")
    assert project.files() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
@pytest.mark.heavy
def test_a_full_disk(project: Project) -> None:
    fill = "mount -t tmpfs -o size=1m none ../full && cp -R . ../full && rm -r ../full/nix && cd ../full && "
    fill += "dd if=/dev/zero of=fill bs=4k 2>/dev/null; cd ../full"
    (project.folder.parent / "full").mkdir()
    said = _mounted(project, fill, "generate")
    refused(said, MACHINE, "full: the disk is full; nothing was changed", "free some room and try again")


@pytest.mark.heavy
def test_a_kill_in_the_middle_of_writing_leaves_each_file_whole(project: Project) -> None:
    wanted = project.files()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for delay in (0.05, 0.1, 0.15, 0.2, 0.25, 0.3):
        (project.folder / "default.nix").unlink(missing_ok=True)
        argv = [sys.executable, "-m", "nixgen", "generate", "--quiet"]
        running = subprocess.Popen(argv, cwd=project.folder, env=environment, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        running.send_signal(signal.SIGKILL)
        running.wait()
        found = project.files()
        assert {name: data for name, data in found.items() if name in wanted and data != wanted[name]} == {}
    project.must("generate")
    assert project.files() == wanted


@pytest.mark.heavy
def test_two_runs_at_once(project: Project) -> None:
    wanted = project.files()
    (project.folder / "default.nix").unlink()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-m", "nixgen", "generate"]
    running = [
        subprocess.Popen(argv, cwd=project.folder, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    errors = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [DONE] * 2, errors
    assert project.files() == wanted


def test_no_nix_on_the_machine(project: Project, tmp_path: Path) -> None:
    """Neither generate nor show needs Nix, nor any other program but the uv that nixgen brings."""
    (tmp_path / "empty").mkdir()
    wanted = project.files()
    (project.folder / "default.nix").unlink()
    said = Project(project.folder).nixgen("generate", env={"PATH": str(tmp_path / "empty")})
    assert said.returncode == DONE, said.tail()
    assert project.files() == wanted
    assert project.nixgen("show", env={"PATH": str(tmp_path / "empty")}).returncode == DONE


def _mounted(project: Project, mount: str, *argv: str) -> Output:
    """Runs nixgen in a mount namespace of its own, after a shell line that mounts."""
    # The folder is entered again, because what is mounted over it is seen only then.
    line = f'{mount} && cd "$PWD" && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", line, "sh", sys.executable, "-m", "nixgen", *argv]
    done = subprocess.run(
        command,
        cwd=project.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return Output(tuple(command), done.returncode, done.stdout, done.stderr)
