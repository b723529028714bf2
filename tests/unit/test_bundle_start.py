"""The start script of a bundle in hostile and odd surroundings."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from test_bundle import Made, make

from nixgen.bundle import start

UNREACHED = ("administrator", "user namespaces")  # what the script says where the kernel gives no namespace


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def file(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.write(tmp_path_factory.mktemp("file") / "demo.nixgen")


def run(file: Path, *words: object, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    given = {"PATH": os.environ["PATH"], **env}
    done = subprocess.run(
        ["sh", str(file), "run", *map(str, words)], env=given, cwd=cwd, capture_output=True, text=True, check=False
    )
    if any(word in done.stderr for word in UNREACHED):
        pytest.skip("this machine lets nobody put an environment at /nix")
    return done


def the(file: Path) -> str:
    """The name of the folder that a bundle is unpacked in."""
    head = file.read_bytes()[: start.SIZE].decode()
    return next(line for line in head.splitlines() if line.startswith("id=")).split()[0].removeprefix("id=")


def plant(made: Made, folder: Path) -> Path:
    """What somebody may put where a bundle will be unpacked: its own paths, with a shell that is not of it."""
    shutil.copytree(made.folder, folder, symlinks=True)
    (folder / "bundle.json").write_text("{}")
    evil = folder / "evil"
    evil.write_text("#!/bin/sh\necho owned\n")
    evil.chmod(0o755)
    for setup in folder.glob("nix/store/*-setup/setup"):
        setup.write_text(f"NIXGEN_BASH={evil}\n")
    return folder


def another(tmp_path: Path, *, owns: str) -> str:
    """A PATH with a program ``ls`` that says of a place that it is somebody else's."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/ls"
    real = shutil.which("ls")
    program.write_text(
        f'#!/bin/sh\nfor last; do :; done\ncase $last in {owns}) echo "drwxr-xr-x 2 4242 4242 40 Jan 1 00:00 x" ;; '
        f'*) exec {real} "$@" ;; esac\n'
    )
    program.chmod(0o755)
    return f"{program.parent}:{os.environ['PATH']}"


@pytest.mark.parametrize("whole", [True, False])
def test_what_another_user_put_there_is_not_started(made: Made, file: Path, tmp_path: Path, *, whole: bool) -> None:
    planted = plant(made, tmp_path / "to" / the(file))
    if not whole:
        (planted / "bundle.json").unlink()
    path = another(tmp_path, owns=f"*{the(file)}")
    done = run(file, "--dir", tmp_path / "to", PATH=path)
    assert "owned" not in done.stdout
    assert done.returncode == 3
    assert "is another user's" in done.stderr
    assert "--dir DIR" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_a_folder_of_another_user_is_refused_and_one_of_the_giver_is_not(
    made: Made, file: Path, tmp_path: Path
) -> None:
    to = tmp_path / "to"
    to.mkdir()
    to.chmod(0o1777)
    planted = plant(made, to / the(file))
    os.chown(planted, 4242, 4242)
    assert "is another user's" in run(file, "--dir", to).stderr
    os.chown(planted, 0, 0)
    planted.chmod(0o777)
    assert "is another user's" in run(file, "--dir", to).stderr
    planted.rename(to / "x")
    (to / the(file)).symlink_to("x")
    os.chown(to / the(file), 4242, 4242, follow_symlinks=False)
    assert "is another user's" in run(file, "--dir", to).stderr
    # Who made the file may have unpacked it, too: the script itself is theirs.
    (to / the(file)).unlink()
    given = shutil.copy(file, tmp_path / "given")
    assert run(given, "--dir", to, "true").returncode == 0
    for place in (given, to / the(file)):
        os.chown(place, 4242, 4242)
    assert run(given, "--dir", to, "true").returncode == 0
    # Whoever has the folder above, or may rename in it, could put another one there.
    shutil.rmtree(to / the(file))
    to.chmod(0o777)
    assert "is another user's" in run(file, "--dir", to).stderr
    to.chmod(0o755)
    os.chown(to, 4243, 4243)
    assert "is another user's" in run(file, "--dir", to).stderr


def test_folders_are_found_from_here_and_from_nowhere_else(file: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere/x").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    for name in ("x", "-", "-x", "a b*", "new\nline"):
        done = run(file, f"--dir={name}", "true", cwd=tmp_path / "here", CDPATH=str(tmp_path / "elsewhere"))
        assert (done.returncode, done.stderr) == (0, "")
        assert [path.name for path in (tmp_path / "here" / name).iterdir()] == [the(file)]
    assert list((tmp_path / "elsewhere/x").iterdir()) == []


def test_what_a_killed_run_left_is_in_nobodys_way(file: Path, tmp_path: Path) -> None:
    # In a container every run has the same number.
    command = f'mkdir "$1/.{the(file)}.$$" "$1/.{the(file)}.$$."; exec sh "$0" run --dir "$1" true'
    words = ["sh", "-c", command, str(file), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if any(word in done.stderr for word in UNREACHED):
        pytest.skip("this machine lets nobody put an environment at /nix")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / the(file) / "bundle.json").exists()


def test_an_unpacked_one_starts_where_nothing_can_be_written(file: Path, tmp_path: Path) -> None:
    to = tmp_path / "to"
    assert run(file, "--dir", to, "true").returncode == 0
    if os.geteuid() != 0:
        to.chmod(0o555)
        assert run(file, "--dir", to, "true").returncode == 0
        to.chmod(0o755)
        return
    only_read = 'mount -o bind "$1" "$1"; mount -o remount,bind,ro "$1"; exec sh "$0" run --dir "$1" echo started'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-ec", only_read, str(file), str(to)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "entered\nstarted\n"), done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_a_place_where_no_program_starts_is_named(file: Path, tmp_path: Path) -> None:
    noexec = 'mount -t tmpfs -o noexec tmpfs "$1"; exec sh "$0" run --dir "$1" true'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-ec", noexec, str(file), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert f"{tmp_path}: no program can be started from there (noexec)" in done.stderr
    assert "--dir DIR" in done.stderr


def test_two_that_unpack_at_once_leave_one_folder(file: Path, tmp_path: Path) -> None:
    # The first has finished just when the second looks: its folder is there, and a move would end inside of it.
    (tmp_path / "bin").mkdir()
    for name, before in (("mv", 'cp -a "$1" "$2"'), ("tar", "")):
        program = tmp_path / "bin" / name
        program.write_text(f'#!/bin/sh\n{before}\nexec {shutil.which(name)} "$@"\n')
        program.chmod(0o755)
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    done = run(file, "--dir", tmp_path / "to", "true", PATH=path)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "to").iterdir()] == [the(file)]
    assert not list((tmp_path / "to" / the(file)).glob(f".{the(file)}.*"))
    # Or while it unpacks: what is whole is nobody's to remove.
    shutil.move(tmp_path / "to" / the(file), tmp_path / "whole")
    (tmp_path / "bin/mv").unlink()
    (tmp_path / "bin/tar").write_text(
        f'#!/bin/sh\n{shutil.which("tar")} "$@" && mv {tmp_path}/whole {tmp_path}/to/{the(file)}\n'
    )
    inode = (tmp_path / "whole").stat().st_ino
    done = run(file, "--dir", tmp_path / "to", "true", PATH=path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "to" / the(file)).stat().st_ino == inode


def test_what_is_not_whole_any_more_is_told(file: Path, tmp_path: Path) -> None:
    for lost in ("bundle.json", "nix"):
        assert run(file, "--dir", tmp_path, "true").returncode == 0
        place = tmp_path / the(file) / lost
        place.unlink() if place.is_file() else shutil.rmtree(place)
        done = run(file, "--dir", tmp_path, "true")
        assert done.returncode == 3
        assert f"remove it: rm -rf '{tmp_path}/{the(file)}'" in done.stderr
        shutil.rmtree(tmp_path / the(file))
