"""What `nixgen clean` lists and removes, and what it leaves alone."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from projects import PYPROJECT, make
from support.program import nixgen

from nixgen.errors import MachineError
from nixgen.init import scaffold
from nixgen.local import clean
from nixgen.project.project import find_project

SETUP = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-{}-setup"
DAY = 86400


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with folders of their own."""
    folder = tmp_path / "user"
    for name, place in (("XDG_CACHE_HOME", "cache"), ("JUPYTER_DATA_DIR", "jupyter"), ("TMPDIR", "tmp")):
        (folder / place).mkdir(parents=True)
        monkeypatch.setenv(name, str(folder / place))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "tmp"))
    return folder


def aged(path: Path, days: float = 2) -> Path:
    then = path.lstat().st_mtime - days * DAY
    os.utime(path, (then, then))
    return path


def venv(place: Path, root: Path, full: str = "demo-app", *, days: float = 2, setup: str = SETUP) -> Path:
    place.mkdir(parents=True)
    (place / "nixgen").write_text(f"# Made\n{setup.format(full)}\n{root}\n3\nab cd\n")
    (place / "bin").mkdir()
    (place / "bin/activate").write_bytes(b"x" * 1000)
    aged(place / "nixgen", days)
    return place


def listed(root: Path | None = None) -> dict[str, str]:
    found = clean.found(None if root is None else find_project(root, lock=False))
    return {one.path.name: one.why for one in found}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with an environment that has a name, and the venvs of some days."""
    root = make(tmp_path / "work", PYPROJECT + "[tool.nixgen.environments.docs]\n")
    venv(root / ".venv-now", root, days=1)
    venv(root / ".venv-docs", root, "demo-app-docs", days=3)
    venv(root / ".venv-before", root, days=5)
    venv(root / ".venv-other", root, "demo-app-other", days=1)
    (root / ".venv").symlink_to(".venv-now")
    return root


OLD = {
    ".venv-before": "an earlier environment of this project",
    ".venv-other": "of the environment demo-app-other, which is gone",
}


def test_what_leads_nowhere_is_listed_and_removed_when_asked(root: Path, user: Path) -> None:
    assert listed(root) == OLD
    done = nixgen("clean", cwd=root)
    assert done.returncode == 0
    assert [line.split("  ")[1] for line in done.stdout.splitlines()] == list(OLD.values())
    size = (root / ".venv-before/nixgen").stat().st_size + (root / ".venv-other/nixgen").stat().st_size + 2000
    told = f"Removed nothing: 2 folders, {size / 1024:.1f} KiB. To remove them: nixgen clean --yes\n"
    assert done.stderr == told
    assert listed(root) == OLD
    done = nixgen("clean", "--yes", "--json", cwd=root)
    answer = json.loads(done.stdout)
    assert (answer["removed"], {Path(row["path"]).name for row in answer["leftovers"]}) == (True, set(OLD))
    assert sorted(path.name for path in root.glob(".venv*")) == [".venv", ".venv-docs", ".venv-now"]
    assert nixgen("clean", cwd=root).stderr == "Nothing to remove.\n"
    assert nixgen("clean", cwd=user).stderr == "Nothing to remove.\n"  # outside of a project


def test_without_a_link_the_project_needs_none(root: Path) -> None:
    (root / ".venv").unlink()
    assert set(listed(root)) == {".venv-now", ".venv-docs", ".venv-before", ".venv-other"}
    (root / ".venv").mkdir()  # another tool's
    assert listed(root) == OLD


def test_a_venv_that_init_moved_aside_goes_and_one_that_a_person_moved_stays(tmp_path: Path) -> None:
    root = make(tmp_path / "work")
    for _ in range(3):
        (root / ".venv").mkdir()
        (root / ".venv/pyvenv.cfg").write_text("home = /usr/bin\n")
        scaffold.put_venv_aside(root)
    (root / ".venv").symlink_to(".venv.old3")  # somebody goes on with it
    (root / ".venv.old2").rename(root / ".venv.old")
    (root / ".venv.old4").mkdir()
    (root / ".venv.old5").symlink_to(".venv.old1")
    assert listed(root) == {".venv.old1": "moved aside by nixgen init"}
    clean.remove(clean.found(find_project(root, lock=False)))
    assert sorted(path.name for path in root.glob(".venv*")) == [
        *(".venv", ".venv.old", ".venv.old3", ".venv.old4", ".venv.old5")
    ]


def test_a_venv_that_was_just_made_stays(root: Path) -> None:
    (root / ".venv").unlink()
    venv(root / ".venv-new", root, days=-1)  # a busy machine takes its time
    assert ".venv-new" not in listed(root)


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked at on Linux")
@pytest.mark.parametrize("how", ["environment", "command", "folder", "link"])
def test_a_venv_that_a_process_uses_stays(root: Path, how: str) -> None:
    place, away = root / ".venv-before", root.parent / "away"
    away.symlink_to(root)
    if how == "link":
        (place / "nixgen").write_text(f"# Made\n{SETUP.format('demo-app')}\n{away}\n3\nab cd\n")
        aged(place / "nixgen", 5)
    inside = {
        "environment": {"env": {**os.environ, "VIRTUAL_ENV": str(place)}},
        "folder": {"cwd": str(place / "bin")},
        "link": {"env": {**os.environ, "PATH": f"{away}/.venv-before/bin:{os.environ['PATH']}"}},
        "command": {},
    }[how]
    words = ["sh", "-c", "echo started; read end", str(place / "bin/python")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **inside) as process:  # type: ignore[call-overload]
        process.stdout.readline()
        assert set(listed(root)) == {".venv-other"}
        process.communicate(b"\n")
    assert listed(root) == OLD


def test_what_is_not_nixgens_stays(root: Path, tmp_path: Path) -> None:
    """Links, folders without a note, notes of other projects, and names that are only alike."""
    outside = venv(tmp_path / "outside", root)
    (root / ".venv-link").symlink_to(outside)
    (root / ".venv-mine/bin").mkdir(parents=True)
    (root / ".venv-linked-note").mkdir()
    (root / ".venv-linked-note/nixgen").symlink_to(outside / "nixgen")
    (root / ".venv-broken").mkdir()
    (root / ".venv-broken/nixgen").write_bytes(b"\xff\n\n\n\n\n")
    venv(root / ".venv-elsewhere", tmp_path / "elsewhere")
    venv(root / ".venv.old1", root)
    (root / ".venv.old2").mkdir()
    (root / ".venv.old2/pyvenv.cfg").touch()
    aged(root / ".venv-mine")
    assert listed(root) == OLD
    clean.remove(clean.found(find_project(root, lock=False)))
    assert (outside / "bin/activate").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_another_user_owns_stays(root: Path, user: Path) -> None:
    os.chown(root / ".venv-before/nixgen", 12345, -1)
    os.chown(root / ".venv-other", 12345, -1)
    private = user / "tmp/nixgen-roots-abcdefgh"
    private.mkdir()
    os.chown(aged(private), 12345, -1)
    assert listed(root) == {}


def test_venvs_in_the_cache_go_with_their_project(user: Path, tmp_path: Path) -> None:
    cache, store = user / "cache/nixgen/venvs", tmp_path / "store"
    setup = f"{store}/0123456789abcdfghijklmnpqrsvwxyz-{{}}-setup"
    for number, place in enumerate((tmp_path, tmp_path / "gone")):
        venv(cache / f".venv-{number:032x}", place)
    found = listed()
    assert set(found.values()) <= {"its project is gone", "its environment is gone from the store"}
    assert f".venv-{1:032x}" in found
    venv(cache / f".venv-{2:032x}", tmp_path, setup=setup)
    venv(cache / ".venv-short", tmp_path / "gone")
    assert set(listed()) == set(found)  # a note of another form is nobody's


def test_kernels_of_projects_that_are_gone(user: Path, root: Path) -> None:
    kernels = user / "jupyter/kernels"
    (root / "default.nix").touch()
    for name, project in (("nixgen-gone", root / "gone"), ("nixgen-here", root), ("nixgen-torn", root)):
        (kernels / name).mkdir(parents=True)
        said = {"project": str(project), "environment": "", "full": "demo-app"}
        (kernels / name / "kernel.json").write_text(json.dumps({"metadata": {"nixgen": said}}))
        (kernels / name / "start").touch()
        (kernels / name / "start.sh").touch()
    (kernels / "nixgen-torn/start").unlink()
    (kernels / "nixgen-mine").mkdir()
    (kernels / "nixgen-mine/kernel.json").write_text("{}")
    assert listed() == {"nixgen-gone": f"its project is gone: {root}/gone", "nixgen-torn": "its script is gone"}
    clean.remove(clean.found(None))
    assert sorted(path.name for path in kernels.iterdir()) == ["nixgen-here", "nixgen-mine"]


def ended() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def folders(user: Path) -> Iterator[tuple[str, bool, Path]]:
    """Names of folders below TMPDIR, whether they can go, and where they are."""
    space, dead = clean._namespace(), ended()
    yield from (
        (name, goes, user / "tmp" / name)
        for name, goes in {
            f"nixgen-hf-{space}-{dead}-abcdefgh": True,
            f"nixgen-venv-{space}-{dead}-abcdefgh": True,
            f"nixgen-hf-{space}-{os.getpid()}-abcdefgh": False,
            f"nixgen-hf-{space}-1-abcdefgh": False,
            f"nixgen-hf-1{space}-{dead}-abcdefgh": False,  # of another container
            f"nixgen-hf-{space}-0-abcdefgh": True,  # of direnv, and a day old
            "nixgen-abcd_123": True,
            "nixgen-roots-abcd_123": True,
            "nixgen-second-abcd_123": True,
            "nixgen-stores-abcd_123": False,
            "nixgen-notes": False,
            "other-abcdefgh": False,
        }.items()
    )


def test_temporary_folders_of_what_has_ended(user: Path) -> None:
    wanted = set()
    for name, goes, place in folders(user):
        place.mkdir()
        (place / "file").touch()
        aged(place)
        wanted |= {name} if goes else set()
    (user / "tmp/nixgen-hgfedcba").mkdir()  # may be of a command that runs
    (user / f"tmp/nixgen-hf-{clean._namespace()}-0-hgfedcba").mkdir()
    (user / "tmp/nixgen-linklink").symlink_to(user / "cache")
    assert set(listed()) == wanted
    clean.remove(clean.found(None))
    assert listed() == {}
    assert (user / "tmp/nixgen-notes/file").exists()


def test_what_killed_commands_and_shells_left(root: Path, user: Path) -> None:
    roots = user / "cache/nixgen/roots"
    for name in ("held", "left"):
        (roots / name).mkdir(parents=True)
        aged(roots / name)
    for name, child in ((".venv-abcdefgh", "new"), (".venv-hgfedcba", "mine")):
        (root / name / child).mkdir(parents=True)
        aged(root / name)
    descriptor = os.open(roots / "held", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        assert set(listed(root)) == {*OLD, "left", ".venv-abcdefgh"}
    finally:
        os.close(descriptor)


def test_what_cannot_be_removed_is_told_and_the_rest_goes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = clean.shutil.rmtree

    def refuse(path: Path) -> None:
        if path.name == ".venv-before":
            raise PermissionError(13, "Permission denied", str(path))
        real(path)

    monkeypatch.setattr(clean.shutil, "rmtree", refuse)
    with pytest.raises(MachineError, match=r"\.venv-before: cannot be removed: Permission denied"):
        clean.remove(clean.found(find_project(root, lock=False)))
    assert list(listed(root)) == [".venv-before"]


def test_a_project_that_cannot_be_read_is_an_error(root: Path, tmp_path: Path) -> None:
    (root / "pyproject.toml").write_text("[")
    assert nixgen("clean", cwd=root).returncode == 2
    assert nixgen("clean", "--project", str(tmp_path / "none"), cwd=tmp_path).returncode == 2


@pytest.mark.skipif(not Path("/nix/store").is_dir(), reason="no store on this machine")
def test_byte_code_of_what_is_gone_from_the_store(user: Path) -> None:
    here = next(path.name for path in sorted(Path("/nix/store").iterdir()) if path.is_dir() and path.name[0] != ".")
    gone = "0123456789abcdfghijklmnpqrsvwxyz-alpha-1.0"
    for name in (here, gone, "notes"):
        (user / "cache/nixgen/bytecode" / name / "lib").mkdir(parents=True)
    (user / "cache/nixgen/bytecode" / gone / "lib/x.pyc").write_bytes(b"x" * 1000)
    assert listed() == {gone: "byte code of what is gone from the store"}
    (one,) = clean.found(None)
    assert one.size == 1000
    clean.remove([one])
    assert sorted(path.name for path in (user / "cache/nixgen/bytecode").iterdir()) == sorted([here, "notes"])
