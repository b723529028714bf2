"""Writing: all or nothing under a full disk, a kill, an interrupt, a read-only folder, and two runs at once."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from support.waiting import until

from nixgen.errors import MachineError, UserError
from nixgen.lock.lockfile import read_lock
from nixgen.machine.files import TEMPORARY, changed, exclusive, read, refuse_links_out, write_all, written_by_nixgen
from nixgen.project.project import read_text

OLD = {"default.nix": b"old default", "flake.lock": b"old lock", "nix/nixgen/a.nix": b"old a"}
NEW = {"default.nix": b"new default", "flake.lock": b"new lock", "nix/nixgen/a.nix": b"new a", "nix/new/b": b"b"}


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    write_all(root, OLD)
    return root


def test_writes_what_differs_and_says_what(project: Path) -> None:
    assert write_all(project, OLD | {"default.nix": b"x", "b/c/d": b"y"}) == ("default.nix", "b/c/d")
    assert tree(project) == OLD | {"default.nix": b"x", "b/c/d": b"y"}


def test_a_file_that_is_right_is_not_touched(project: Path) -> None:
    before = (project / "default.nix").stat()
    assert write_all(project, OLD) == ()
    after = (project / "default.nix").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_removes_and_leaves_no_empty_folder(project: Path) -> None:
    assert write_all(project, {}, remove=["nix/nixgen/a.nix", "was-never-there"]) == ("nix/nixgen/a.nix",)
    assert sorted(path.name for path in project.iterdir()) == ["default.nix", "flake.lock"]


def test_permissions_stay_but_for_the_executable_bit(project: Path) -> None:
    (project / "default.nix").chmod(0o640)
    (project / "flake.lock").chmod(0o755)
    assert write_all(project, OLD | {"default.nix": b"x"}) == ("default.nix", "flake.lock")
    assert (project / "default.nix").stat().st_mode & 0o777 == 0o640
    assert (project / "flake.lock").stat().st_mode & 0o777 == 0o644


def test_a_new_file_has_the_permissions_that_the_umask_leaves(project: Path) -> None:
    before = os.umask(0o027)
    try:
        write_all(project, {"fresh": b""})
    finally:
        os.umask(before)
    assert (project / "fresh").stat().st_mode & 0o777 == 0o640


def test_a_link_inside_the_project_is_followed(project: Path) -> None:
    (project / "real").mkdir()
    (project / "real/lock").write_bytes(b"1")
    (project / "link").symlink_to("real/lock")
    write_all(project, {"link": b"2"})
    assert (project / "link").is_symlink()
    assert (project / "real/lock").read_bytes() == b"2"


def test_of_a_link_that_is_removed_the_link_is(project: Path) -> None:
    outside = project.parent / "outside"
    outside.write_bytes(b"theirs")
    (project / "mine").write_bytes(b"mine")
    (project / "inward").symlink_to("mine")
    (project / "outward").symlink_to(outside)
    assert write_all(project, {}, remove=["inward", "outward"]) == ("inward", "outward")
    assert tree(project) == OLD | {"mine": b"mine"}
    assert outside.read_bytes() == b"theirs"


@pytest.mark.parametrize(
    ("link", "path"),
    [
        ("nix", "nix/nixgen/a.nix"),
        ("nix/nixgen", "nix/nixgen/a.nix"),
        ("nix/nixgen/a.nix", "nix/nixgen/a.nix"),
        (".github", ".github/workflows/x.yml"),
        ("nixgen.lock", "nixgen.lock"),
    ],
)
@pytest.mark.parametrize("where", ["outside", "nowhere", "repository"])
def test_the_link_that_leads_out_is_named(tmp_path: Path, link: str, path: str, where: str) -> None:
    """Case 29's kind: nothing is written or removed behind it."""
    root, outside = tmp_path / "project", tmp_path / "outside"
    write_all(outside, {"a.nix": b"theirs", "nixgen/a.nix": b"theirs", "workflows/x.yml": b"theirs"})
    write_all(root, {"kept": b"kept"})
    (root / ".git/hooks").mkdir(parents=True)
    target = {"outside": outside, "nowhere": tmp_path / "nowhere", "repository": root / ".git/hooks"}[where]
    target = target / "a.nix" if path == link and where == "outside" else target
    (root / link).parent.mkdir(parents=True, exist_ok=True)
    (root / link).symlink_to(target)
    before = tree(outside)
    sentence = (
        f"{link}: is a link to {target}: it leads out of the project, and nixgen writes only inside it\n"
        f"  hint: remove the link: rm {link}"
    )
    with pytest.raises(UserError) as caught:
        write_all(root, {path: b"evil", f"{path}2": b"evil", "kept": b"new"})
    assert str(caught.value) == sentence
    with pytest.raises(UserError) as caught:
        refuse_links_out(root, [path])
    assert str(caught.value) == sentence
    if link != path:
        with pytest.raises(UserError):
            write_all(root, {"kept": b"new"}, remove=[path])
    assert tree(outside) == before
    assert not (tmp_path / "nowhere").exists()
    assert (root / "kept").read_bytes() == b"kept"


def test_two_names_of_one_file(project: Path) -> None:
    (project / "flake.lock").unlink()
    (project / "flake.lock").symlink_to("default.nix")
    with pytest.raises(
        UserError, match=r"^flake\.lock: is the same file as default\.nix\n  hint: remove the link: rm flake"
    ):
        write_all(project, NEW)
    assert (project / "default.nix").read_bytes() == b"old default"


@pytest.mark.parametrize("path", ["link", "folder/x", "../x", "/tmp/x", "a/../../x", "."])
def test_nothing_is_written_outside_the_project(project: Path, path: str) -> None:
    outside = project.parent / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"theirs")
    (project / "link").symlink_to(outside / "file")
    (project / "folder").symlink_to(outside)
    with pytest.raises(UserError, match="leads out of the project, and nixgen writes only inside it"):
        write_all(project, {"default.nix": b"new", path: b"evil"})
    assert tree(outside) == {"file": b"theirs"}
    assert (project / "default.nix").read_bytes() == b"old default"


def test_a_loop_of_links_is_a_sentence(project: Path) -> None:
    (project / "a").symlink_to("b")
    (project / "b").symlink_to("a")
    with pytest.raises((UserError, MachineError), match="cannot be"):
        write_all(project, {"a": b"x"})


def test_a_folder_where_a_file_belongs(project: Path) -> None:
    (project / "shell.nix").mkdir()
    with pytest.raises(UserError, match=r"shell\.nix: is a folder, where nixgen writes a file"):
        write_all(project, NEW | {"shell.nix": b""})
    assert tree(project) == OLD


def test_a_file_where_a_folder_belongs(project: Path) -> None:
    (project / "nix/new").write_bytes(b"mine")
    with pytest.raises(UserError, match="is a file, where nixgen needs a folder; nothing was changed"):
        write_all(project, NEW)
    assert tree(project) == OLD | {"nix/new": b"mine"}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_a_full_disk_changes_nothing(project: Path, monkeypatch: pytest.MonkeyPatch, call: int, code: int) -> None:
    calls = iter(range(1, 100))

    def full(_: int) -> None:
        if next(calls) == call:
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        MachineError, match="the disk is full; nothing was changed\n  hint: free some room and try again"
    ):
        write_all(project, NEW)
    assert tree(project) == OLD
    assert not (project / "nix/new").exists()


@pytest.mark.parametrize("call", [1, 2, 3, 4])
@pytest.mark.parametrize("error", [OSError(errno.EPERM, "Operation not permitted"), KeyboardInterrupt()])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_rename_that_fails_or_is_interrupted_is_undone(
    project: Path, monkeypatch: pytest.MonkeyPatch, call: int, error: BaseException, when: str
) -> None:
    calls = iter(range(1, 100))
    rename = os.replace

    def failing(source: Path, target: Path) -> None:
        now = next(calls) == call
        if now and when == "before":
            raise error
        rename(source, target)
        if now:
            raise error

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises((MachineError, KeyboardInterrupt)):
        write_all(project, NEW)
    assert tree(project) == OLD
    assert not (project / "nix/new").exists()


def test_a_disk_that_is_really_full(mounted: Path) -> None:
    write_all(mounted, OLD)
    with pytest.raises(MachineError, match="the disk is full; nothing was changed"):
        write_all(mounted, NEW | {"nix/new/huge": b"x" * 100_000})
    assert tree(mounted) == OLD
    assert write_all(mounted, NEW) == tuple(NEW)


def test_a_folder_that_is_really_read_only(mounted: Path) -> None:
    write_all(mounted, OLD)
    subprocess.run(["mount", "-o", "remount,ro", mounted], check=True)
    with exclusive(mounted, pytest.fail), pytest.raises(MachineError) as caught:
        write_all(mounted, NEW)
    assert str(caught.value) == (
        f"{mounted}/nix: cannot be written (Read-only file system); nothing was changed\n"
        "  hint: make the folder writable, or work on a copy"
    )
    assert tree(mounted) == OLD


def _no_links(*_: object) -> None:
    raise PermissionError(errno.EPERM, "Operation not permitted")


@pytest.mark.parametrize("call", [1, 2, 3, 4])
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_promise_holds_where_hard_links_fail(
    project: Path, monkeypatch: pytest.MonkeyPatch, call: int, when: str
) -> None:
    """Case 29: on vfat, and where Linux protects the files of other users."""
    monkeypatch.setattr(os, "link", _no_links)
    (project / "flake.lock").chmod(0o600)
    test_a_rename_that_fails_or_is_interrupted_is_undone(project, monkeypatch, call, KeyboardInterrupt(), when)
    monkeypatch.undo()
    monkeypatch.setattr(os, "link", _no_links)
    assert (project / "flake.lock").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in project.rglob("*") if path.name.endswith(TEMPORARY)] == []
    assert write_all(project, NEW) == tuple(NEW)
    assert tree(project) == NEW


@pytest.mark.parametrize("links", [True, False])
def test_a_removal_that_is_interrupted_is_undone(
    project: Path, monkeypatch: pytest.MonkeyPatch, *, links: bool
) -> None:
    rename = os.rename

    def interrupted(source: Path, target: Path) -> None:
        rename(source, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", interrupted)
    if not links:
        monkeypatch.setattr(os, "link", _no_links)
    with pytest.raises(KeyboardInterrupt):
        write_all(project, {"default.nix": b"new"}, remove=["flake.lock"])
    assert tree(project) == OLD


def test_a_file_that_cannot_be_put_back_is_kept_and_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename, calls = os.replace, iter(range(100))

    def failing(source: Path, target: Path) -> None:
        if next(calls):
            raise OSError(errno.EIO, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(MachineError) as caught:
        write_all(project, NEW)
    assert str(caught.value) == (
        "default.nix: is half written: [Errno 5] Input/output error; and the old one cannot be put back: "
        f"Input/output error\n  hint: mv {project}/default.nix.old {project}/default.nix"
    )
    assert changed()
    monkeypatch.undo()
    assert (project / "default.nix.old").read_bytes() == b"old default"
    assert tree(project).items() >= {"flake.lock": b"old lock", "nix/nixgen/a.nix": b"old a"}.items()


def test_a_second_interrupt_while_things_are_put_back_loses_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, calls = os.replace, iter(range(100))

    def failing(source: Path, target: Path) -> None:
        if next(calls):
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(KeyboardInterrupt):
        write_all(project, NEW)
    assert b"old default" in tree(project).values()


def test_what_lies_at_a_temporary_name_is_not_written_through(project: Path) -> None:
    outside = project.parent / "outside"
    outside.write_bytes(b"theirs")
    for what in ("new", "old"):
        (project / f".default.nix.{what}.{os.getpid()}.nixgen-tmp").symlink_to(outside)
    (project / f".flake.lock.new.{os.getpid()}.nixgen-tmp").hardlink_to(outside)
    write_all(project, NEW)
    assert outside.read_bytes() == b"theirs"
    assert tree(project) == NEW


def test_only_names_of_our_own_form_are_cleaned_up(project: Path) -> None:
    (project / ".mine.nixgen-tmp").touch()
    (project / ".mine.4194399.nixgen-tmp").touch()
    write_all(project, {"default.nix": b"new"})
    assert {".mine.nixgen-tmp", ".mine.4194399.nixgen-tmp"} <= tree(project).keys()


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from nixgen.machine.files import write_all
    left = int(sys.argv[2])
    def counted(call):
        def wrapper(*arguments):
            global left
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            return call(*arguments)
        return wrapper
    os.replace, os.fsync, os.link = counted(os.replace), counted(os.fsync), counted(os.link)
    write_all(Path(sys.argv[1]), {"default.nix": b"new default", "flake.lock": b"new lock", "nix/new/b": b"b"})
"""


@pytest.mark.heavy
def test_a_kill_at_any_moment_leaves_each_file_old_or_new_and_the_next_run_cleans_up(project: Path) -> None:
    new = {"default.nix": b"new default", "flake.lock": b"new lock", "nix/new/b": b"b"}
    leftovers = 0
    for moment in range(40):
        write_all(project, OLD, remove=["nix/new/b"])
        done = subprocess.run([sys.executable, "-c", textwrap.dedent(KILLED), project, str(moment)], check=False)
        found = tree(project)
        leftovers += sum(name.endswith(".nixgen-tmp") for name in found)
        for name, old in OLD.items():
            assert found[name] in {old, new.get(name)}
        assert found.get("nix/new/b") in {None, b"b"}
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        assert write_all(project, new) or found.items() >= new.items()
        write_all(project, OLD, remove=["nix/new/b"])
        assert not [name for name in tree(project) if name.endswith(".nixgen-tmp")]
    else:
        pytest.fail("the write never came to its end")
    assert moment > 8
    assert leftovers > 8


def test_two_runs_at_once_wait_for_one_another(project: Path) -> None:
    script = """
        import sys
        from pathlib import Path
        from nixgen.machine.files import exclusive
        root = Path(sys.argv[1])
        with exclusive(root, print):
            with exclusive(root / "nix" / "..", print):
                (root / "held").touch()
            input()
            (root / "held").unlink()
    """
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    first = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), project], text=True, **pipes)
    assert first.stdin is not None
    try:
        until((project / "held").exists, running=first)
        said: list[str] = []

        def told(text: str) -> None:
            said.append(text)
            print(file=first.stdin, flush=True)  # only now may the other one end

        with exclusive(project, told):
            assert not (project / "held").exists()
        assert said == [f"Another nixgen is at work in {project}: waiting for it to end."]
        assert first.communicate()[0] == ""
    finally:
        first.kill()
        first.wait()


def test_a_free_project_is_taken_without_a_word(project: Path) -> None:
    with exclusive(project, pytest.fail):
        pass
    with exclusive(project, pytest.fail):
        assert sorted(path.name for path in project.iterdir()) == ["default.nix", "flake.lock", "nix"]


def test_temporary_files_of_a_living_process_stay(project: Path) -> None:
    theirs = project / f".default.nix.new.{os.getppid()}.nixgen-tmp"
    dead = project / ".default.nix.new.4194399.nixgen-tmp"
    theirs.touch()
    dead.touch()
    write_all(project, {"default.nix": b"new"})
    assert theirs.exists()
    assert not dead.exists()


def test_read(project: Path) -> None:
    assert read(project, "default.nix") == b"old default"
    assert read(project, "none") is None
    assert read(project, "default.nix/none") is None


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (os.mkfifo, "it is not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "it is not a regular file"),
        (lambda path: (path.touch(), os.truncate(path, 1 << 40)), "it has more than 32 MiB"),
    ],
)
def test_what_has_no_end_is_not_read(project: Path, make: Callable[[Path], None], why: str) -> None:
    """Case 36."""
    make(project / "nixgen.lock")
    with pytest.raises(
        MachineError, match=rf"^nixgen\.lock: cannot be read: {why}\n  hint: put the file back: git checkout"
    ):
        read(project, "nixgen.lock")
    with pytest.raises(UserError, match=rf"^nixgen\.lock: cannot be read: {why}"):
        read_lock(project / "nixgen.lock")
    with pytest.raises(MachineError, match=rf"^nixgen\.lock: cannot be read: {why}\n"):
        read_text(project / "nixgen.lock", "nixgen.lock")


def test_whose_a_file_is() -> None:
    assert written_by_nixgen(b"# Written by nixgen from uv.lock; do not edit.\n{ }\n")
    assert not written_by_nixgen(b"{ }\n# Written by nixgen\n")
    assert not written_by_nixgen(b"")


def test_a_script_that_is_a_program_stays_one(tmp_path: Path) -> None:
    for name, mode in (("tool.py", 0o755), ("default.nix", 0o644)):
        (tmp_path / name).write_text("old")
        (tmp_path / name).chmod(0o755)
        write_all(tmp_path, {name: b"new"})
        assert (tmp_path / name).stat().st_mode & 0o777 == mode
