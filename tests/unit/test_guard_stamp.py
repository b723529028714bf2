"""The stamp: what makes it count, and every way in which it does not."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.tree import fill, flip, problems, tree

from nixgen import guard
from nixgen.guard import stamp as stamps
from nixgen.guard.scan import Scan

FILES = {"config.json": b"{}", "model.onnx": b"m" * 5000, "sub/empty": b""}


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
    assert guard.check([model], stamp=stamp).stamp == "not written: this boot cannot be told from others"


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


def test_old_stamps_are_removed(model: guard.Tree, stamp: guard.Stamp, fresh: Path) -> None:
    old, young = fresh.with_name("old.json"), fresh.with_name("young.json")
    for path in (old, young):
        path.write_bytes(b"")
    os.utime(old, (0, 0))
    fresh.unlink()
    assert guard.check([model], stamp=stamp).stamp == "written"
    assert sorted(path.name for path in fresh.parent.iterdir()) == sorted([fresh.name, "young.json"])


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
