"""The stamp: what makes it count, and every way in which it does not."""

from __future__ import annotations

import errno
import json
import mmap
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.tree import fill, flip, problems, tree

from nixgen import guard
from nixgen.guard import stamp as stamps
from nixgen.guard import writeback
from nixgen.guard.scan import Scan

FILES = {"config.json": b"{}", "model.onnx": b"m" * 5000, "sub/empty": b""}

REAL_MEMORY = writeback.MEMORY


@pytest.fixture(autouse=True)
def _on_a_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder for temporary files may be in memory, where nothing is stamped."""
    monkeypatch.setattr(writeback, "MEMORY", frozenset())


@pytest.fixture
def model(tmp_path: Path) -> guard.Tree:
    return tree(fill(tmp_path / "model", FILES), FILES)


@pytest.fixture
def stamp(tmp_path: Path) -> guard.Stamp:
    """A stamp that files may be as new as they like for."""
    return guard.Stamp(str(tmp_path / "stamps"), settled=0)


@pytest.fixture
def fresh(model: guard.Tree, stamp: guard.Stamp) -> Path:
    """A check was done and left a stamp; its file."""
    assert guard.check([model], stamp=stamp).stamp == "written"
    return Path(stamp.path([model], nix=True))


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_with_a_fresh_stamp_nothing_is_hashed(model: guard.Tree, stamp: guard.Stamp) -> None:
    first = guard.check([model], stamp=stamp)
    second = guard.check([model], stamp=stamp)
    assert (first.ok, first.hashed, first.stamp) == (True, 5002, "written")
    assert (second.ok, second.hashed, second.stamp) == (True, 0, "fresh")
    assert second.targets == first.targets


@pytest.mark.usefixtures("fresh")
def test_same_size_and_restored_mtime_are_caught_by_the_ctime(model: guard.Tree, stamp: guard.Stamp) -> None:
    path = Path(model.folder, "model.onnx")
    before = path.stat()
    time.sleep(0.02)
    flip(path, 17)
    after = path.stat()
    assert (before.st_size, before.st_mtime_ns, before.st_ino) == (after.st_size, after.st_mtime_ns, after.st_ino)
    report = guard.check([model], stamp=stamp)
    assert problems(report) == [("model.onnx", "changed")]
    assert report.stamp == "not written"


@pytest.mark.usefixtures("fresh")
def test_a_file_replaced_by_another_of_the_same_size_and_times(model: guard.Tree, stamp: guard.Stamp) -> None:
    path = Path(model.folder, "model.onnx")
    there = path.stat()
    other = path.with_name("other")
    other.write_bytes(b"M" * 5000)
    os.utime(other, ns=(there.st_atime_ns, there.st_mtime_ns))
    other.replace(path)
    assert problems(guard.check([model], stamp=stamp)) == [("model.onnx", "changed")]


@pytest.mark.usefixtures("fresh")
def test_missing_and_extra_files_are_seen_with_a_stamp(model: guard.Tree, stamp: guard.Stamp) -> None:
    Path(model.folder, "config.json").rename(Path(model.folder, "extra"))
    assert problems(guard.check([model], stamp=stamp)) == [("config.json", "missing"), ("extra", "extra")]


@pytest.mark.usefixtures("fresh")
def test_the_same_bytes_in_another_file_are_hashed_again(model: guard.Tree, stamp: guard.Stamp) -> None:
    path = Path(model.folder, "model.onnx")
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)
    report = guard.check([model], stamp=stamp)
    assert (report.ok, report.hashed, report.stamp) == (True, 5002, "written")


@pytest.mark.usefixtures("fresh")
def test_a_stamp_counts_for_its_own_lock_only(model: guard.Tree, stamp: guard.Stamp) -> None:
    other = model._replace(files=(model.files[0]._replace(sha256="0" * 64), *model.files[1:]))
    assert problems(guard.check([other], stamp=stamp)) == [("config.json", "changed")]
    assert stamp.why_stale([other], [], nix=True) == "none yet"
    assert stamp.why_stale([model], [], nix=False) == "none yet"


def _why(model: guard.Tree, stamp: guard.Stamp) -> str:
    """Why the stamp does not count, after making sure that everything is hashed then."""
    scan = Scan(model, ("/nix/store",))
    scan.run()
    why = stamp.why_stale([model], scan.entries, nix=True)
    if why:
        assert guard.check([model], stamp=guard.Stamp(stamp.folder, stamp._age)).hashed == 5002
    return why


def test_a_stamp_from_another_boot(model: guard.Tree, stamp: guard.Stamp, fresh: Path) -> None:
    assert _why(model, stamp) == ""
    change(fresh, boot="00000000-0000-0000-0000-000000000000")
    assert _why(model, stamp) == "of another boot"


def test_where_the_boot_cannot_be_told_there_is_no_stamp(
    model: guard.Tree, stamp: guard.Stamp, fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(fresh, boot="")
    monkeypatch.setattr(stamps, "boot_id", lambda: "")
    assert _why(model, stamp) == "of another boot"
    assert guard.check([model], stamp=stamp).stamp == "not written: this boot has no ID"


def test_an_expired_stamp(model: guard.Tree, stamp: guard.Stamp, fresh: Path) -> None:
    old = guard.Stamp(stamp.folder, age=0.0)
    assert _why(model, old) == "too old"
    change(fresh, clock=json.loads(fresh.read_text())["clock"] + 3600)
    assert _why(model, stamp) == "too old"  # made in the future: its age cannot be told


def test_the_wall_clock_is_not_asked_for_the_age(
    model: guard.Tree, stamp: guard.Stamp, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert guard.check([model], stamp=stamp).stamp == "written"
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    monkeypatch.setattr(time, "clock_gettime", lambda _: now + guard.STAMP_AGE + 1)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert guard.check([model], stamp=stamp).hashed == 5002


@pytest.mark.parametrize(
    "forged",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"version": 1}',
        b'{"version": 1, "boot": "x", "clock": "now", "files": {}}',
        b'{"version": 1, "boot": "x", "clock": 1, "files": []}',
        b'{"version": 1, "boot": "x", "clock": 1%s, "files": {}}' % (b"0" * 400),
        b'{"version": 1, "boot": "x", "clock": 1, "files": {"0:a": 3}}',
        b"\xff",
    ],
)
def test_what_is_no_stamp_does_not_count(model: guard.Tree, stamp: guard.Stamp, fresh: Path, forged: bytes) -> None:
    fresh.write_bytes(forged)
    assert _why(model, stamp) == f"not trusted: {fresh} is not a stamp"


def test_a_stamp_whose_content_was_forged(model: guard.Tree, stamp: guard.Stamp, fresh: Path) -> None:
    files = json.loads(fresh.read_text())["files"]
    change(fresh, files={**files, "0:model.onnx": [0, 0, 5000, 0, 0]})
    assert _why(model, stamp) == "of other files"
    change(fresh, files={**files, "0:more": [0, 0, 0, 0, 0]})
    assert _why(model, stamp) == "of other files"
    change(fresh, files=files, version=2)
    assert _why(model, stamp) == "of another boot"


@pytest.mark.parametrize("mode", [0o602, 0o620, 0o666])
def test_a_stamp_that_others_may_write(model: guard.Tree, stamp: guard.Stamp, fresh: Path, mode: int) -> None:
    fresh.chmod(mode)
    assert _why(model, stamp) == f"not trusted: others may write {fresh}"


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770])
def test_a_folder_that_others_may_write(model: guard.Tree, stamp: guard.Stamp, fresh: Path, mode: int) -> None:
    fresh.parent.chmod(mode)
    assert _why(model, stamp) == f"not trusted: others may write {fresh.parent}"
    report = guard.check([model], stamp=stamp)
    assert (report.ok, report.stamp) == (True, f"not written: others may write {fresh.parent}")


def test_a_folder_above_that_others_may_write(tmp_path: Path, model: guard.Tree) -> None:
    above = tmp_path / "above"
    above.mkdir()
    above.chmod(0o777)
    stamp = guard.Stamp(str(above / "stamps"), settled=0)
    assert guard.check([model], stamp=stamp).stamp == f"not written: others may write {above}"
    above.chmod(0o1777)  # as /tmp is: nobody else can move what is in it
    assert guard.check([model], stamp=stamp).stamp == "written"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_stamp_or_folder_of_somebody_else(model: guard.Tree, stamp: guard.Stamp, fresh: Path) -> None:
    os.chown(fresh, 1234, 1234)
    assert _why(model, stamp) == f"not trusted: {fresh} belongs to another user"
    os.chown(fresh, 0, 0)
    os.chown(fresh.parent, 1234, 1234)
    assert _why(model, stamp) == f"not trusted: {fresh.parent} belongs to another user"


def _linked(path: Path) -> None:
    path.rename(path.with_name("real"))
    path.symlink_to("real")


def _named_twice(path: Path) -> None:
    path.with_name("second").hardlink_to(path)


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("forge", "why"),
    [
        (_linked, "Too many levels of symbolic links"),
        (_named_twice, "is not a file with one name"),
        (_fifo, "is not a file with one name"),
    ],
)
def test_a_stamp_that_is_no_plain_file(
    model: guard.Tree, stamp: guard.Stamp, fresh: Path, forge: Callable[[Path], None], why: str
) -> None:
    forge(fresh)
    assert _why(model, stamp).startswith(f"not trusted: {fresh}")
    assert _why(model, stamp).endswith(why)


def test_files_that_were_just_changed_are_not_stamped(model: guard.Tree, tmp_path: Path) -> None:
    stamp = guard.Stamp(str(tmp_path / "stamps"))
    report = guard.check([model], stamp=stamp)
    assert (report.ok, report.stamp) == (True, "not written: a file is newer than 2 s")
    assert not (tmp_path / "stamps").exists()


def test_where_no_stamp_can_be_written_the_check_still_counts(model: guard.Tree, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    report = guard.check([model], stamp=guard.Stamp(str(tmp_path / "file"), settled=0))
    assert report.ok
    assert report.stamp.startswith(f"not written: {tmp_path / 'file'}")


def _old(path: Path) -> None:
    os.utime(path, (0, 0), follow_symlinks=False)


def test_old_stamps_are_removed(model: guard.Tree, stamp: guard.Stamp, fresh: Path) -> None:
    old, young, killed = (
        fresh.with_name(f"{name * 64}.json{rest}") for name, rest in (("0", ""), ("1", ""), ("2", ".a"))
    )
    for path in (old, young, killed):
        path.write_bytes(fresh.read_bytes())
    _old(old)
    _old(killed)
    fresh.unlink()
    assert guard.check([model], stamp=stamp).stamp == "written"
    assert sorted(path.name for path in fresh.parent.iterdir()) == sorted([fresh.name, young.name])


def test_nothing_but_stamps_is_removed(model: guard.Tree, stamp: guard.Stamp, fresh: Path) -> None:
    """Case 25: the folder may hold anything else."""
    text, folder = fresh.read_bytes(), fresh.parent
    fresh.unlink()
    own = ["notes.txt", "stamp.json", "0" * 64, "0" * 63 + ".json", "0" * 64 + ".jsonl", "0" * 64 + ".json~"]
    for name in own:
        (folder / name).write_bytes(text)
    (folder / ("1" * 64 + ".json")).write_bytes(b'{"version": 1, "files": {}}')  # another program's
    (folder / ("2" * 64 + ".json")).write_bytes(b"")
    (folder / ("3" * 64 + ".json")).mkdir()
    (folder / ("4" * 64 + ".json")).symlink_to(folder / "notes.txt")
    (folder / ("5" * 64 + ".json")).hardlink_to(folder / "stamp.json")
    os.mkfifo(folder / ("6" * 64 + ".json"))
    there = sorted(path.name for path in folder.iterdir())
    for name in there:
        _old(folder / name)
    assert guard.check([model], stamp=stamp).stamp == "written"
    assert sorted(path.name for path in folder.iterdir()) == sorted([*there, fresh.name])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_stamp_of_somebody_else_is_not_removed(model: guard.Tree, stamp: guard.Stamp, fresh: Path) -> None:
    theirs = fresh.with_name("0" * 64 + ".json")
    fresh.rename(theirs)
    os.chown(theirs, 1234, 1234)
    _old(theirs)
    assert guard.check([model], stamp=stamp).stamp == "written"
    assert theirs.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("place", ["stamps", "above/stamps", "above/deep/stamps"])
def test_a_link_that_another_user_planted_is_not_followed(model: guard.Tree, tmp_path: Path, place: str) -> None:
    """Case 25: in a folder as /tmp is, anybody may leave a link to what only this user can change."""
    target = fill(tmp_path / "private", {"0" * 64 + ".json": b'{"version": 1, "boot": "'})
    _old(next(target.iterdir()))
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    link = shared / place.partition("/")[0]
    link.symlink_to(target)
    os.chown(link, 1234, 1234, follow_symlinks=False)
    report = guard.check([model], stamp=guard.Stamp(str(shared / place), settled=0))
    assert (report.ok, report.stamp) == (True, f"not written: {link} belongs to another user")
    assert [path.name for path in target.iterdir()] == ["0" * 64 + ".json"]
    os.chown(link, 0, 0, follow_symlinks=False)
    assert guard.check([model], stamp=guard.Stamp(str(shared / place), settled=0)).stamp == "written"


def test_links_of_this_user_lead_to_the_folder(model: guard.Tree, tmp_path: Path) -> None:
    (tmp_path / "real/deep").mkdir(parents=True)
    (tmp_path / "relative").symlink_to("real/../real")
    (tmp_path / "absolute").symlink_to(tmp_path / "relative/deep")
    stamp = guard.Stamp(str(tmp_path / "absolute/./stamps"), settled=0)
    assert guard.check([model], stamp=stamp).stamp == "written"
    assert len(list((tmp_path / "real/deep/stamps").iterdir())) == 1
    assert guard.check([model], stamp=stamp).stamp == "fresh"
    (tmp_path / "loop").symlink_to("loop")
    said = guard.check([model], stamp=guard.Stamp(str(tmp_path / "loop"), settled=0)).stamp
    assert said == f"not written: {tmp_path / 'loop'} is one link of too many"


def test_a_stamp_that_cannot_be_written_leaves_nothing(
    model: guard.Tree, stamp: guard.Stamp, fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh.unlink()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert guard.check([model], stamp=stamp).stamp == f"not written: {stamp.folder}: No space left on device"
    assert list(fresh.parent.iterdir()) == []


def _mapped(model: guard.Tree) -> mmap.mmap:
    """A mapping of a file that was written through: its page is dirty."""
    with Path(model.folder, "model.onnx").open("r+b") as file:
        mapping = mmap.mmap(file.fileno(), 0)
    mapping[0] = mapping[0]
    time.sleep(0.02)
    return mapping


@pytest.mark.parametrize("way", ["ranges", "fsync"])
def test_a_write_through_a_mapping_is_seen(
    model: guard.Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Case 30: a page that is dirty is written again without a word; in memory every page is."""
    monkeypatch.setattr(writeback, "MEMORY", REAL_MEMORY)
    if way == "fsync":
        monkeypatch.setattr(writeback, "_sync_file_range", lambda: None)
    stamp = guard.Stamp(str(tmp_path / "stamps"), settled=0)
    with _mapped(model) as mapping:
        first = guard.check([model], stamp=stamp)
        assert first.ok
        assert first.stamp == "written" or first.stamp.startswith("not written: a file is in memory (")
        time.sleep(0.02)
        mapping[1] ^= 1
        assert problems(guard.check([model], stamp=stamp)) == [("model.onnx", "changed")]


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="there is no file system in memory")
def test_files_in_memory_are_not_stamped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writeback, "MEMORY", REAL_MEMORY)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        model = tree(fill(Path(folder), FILES), FILES)
        report = guard.check([model], stamp=guard.Stamp(str(tmp_path / "stamps"), settled=0))
    assert (report.ok, report.stamp) == (True, "not written: a file is in memory (tmpfs)")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.EINVAL, "written"),  # a file system that is never written
        (errno.EROFS, "written"),
        (errno.EIO, "not written: a file cannot be written back"),
    ],
)
def test_files_that_cannot_be_written_back(
    model: guard.Tree, stamp: guard.Stamp, monkeypatch: pytest.MonkeyPatch, code: int, said: str
) -> None:
    def fails(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(writeback, "_kinds", dict)
    monkeypatch.setattr(os, "fsync", fails)
    assert guard.check([model], stamp=stamp).stamp == said


def test_the_stamp_is_readable_by_its_owner_alone(fresh: Path) -> None:
    assert (fresh.stat().st_mode & 0o777, fresh.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_the_default_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert guard.default_stamps() == "/home/somebody/.local/state/nixgen/stamps"
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert guard.default_stamps() == "/state/nixgen/stamps"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert guard.default_stamps() is None
