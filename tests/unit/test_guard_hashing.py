"""The guard while it reads: files that change meanwhile, all processors, memory, permissions."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.guarded import FILES
from support.tree import fill, flip, problems, tree
from support.waiting import PATIENCE

from nixgen import guard
from nixgen.guard import hashing
from nixgen.guard.scan import Entry


@pytest.fixture
def model(tmp_path: Path) -> guard.Tree:
    return tree(fill(tmp_path / "model", FILES), FILES)


@pytest.mark.heavy
def test_ten_thousand_files(tmp_path: Path) -> None:
    files = {f"{number % 100:02}/{number:05}": b"%d" % number for number in range(10_000)}
    model = tree(fill(tmp_path / "m", files), files)
    assert guard.check([model]).ok
    for path in (tmp_path / "m").glob("*/*5"):
        path.unlink()
    report = guard.check([model])
    assert len(report.findings) == 1000
    assert report.text().endswith("\nand 950 more")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_permission_denied(tmp_path: Path) -> None:
    files = {"a": b"a", "closed/b": b"b", "c": b"c"}
    model = fill(tmp_path / "m", files)
    (model / "a").chmod(0)
    (model / "closed").chmod(0)
    for place in (tmp_path, *tmp_path.parents):
        if place.owner() == "root" and len(place.parts) > 2:
            place.chmod(place.stat().st_mode | 0o755)
    report = _as_nobody(lambda: guard.check([tree(model, files)]))
    assert report == [
        "models.m: a: cannot be read: Permission denied",
        "models.m: closed: cannot be read: Permission denied",
    ]


def _as_nobody(look: Callable[[], guard.Report]) -> list[str]:
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgid(65534)
        os.setuid(65534)
        os.write(into, "\n".join(map(str, look().findings)).encode())
        os._exit(0)
    os.close(into)
    os.waitpid(child, 0)
    with os.fdopen(out) as read:
        return read.read().splitlines()


@pytest.mark.parametrize("change", ["append", "truncate", "write", "replace"])
def test_a_file_that_changes_while_it_is_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    data = b"x" * (3 << 20)
    path = fill(tmp_path / "m", {"a": data}) / "a"
    read = os.readv
    done: list[int] = []

    def interrupted(descriptor: int, buffers: list[memoryview]) -> int:
        got = read(descriptor, buffers)
        if not done:
            done.append(1)
            if change == "append":
                path.write_bytes(data + b"y")
            elif change == "truncate":
                os.truncate(path, 2 << 20)
            elif change == "write":
                flip(path, 0)  # a byte that was read already
            else:
                path.rename(tmp_path / "old")
                path.write_bytes(b"z" * len(data))
        return got

    monkeypatch.setattr(os, "readv", interrupted)
    report = guard.check([tree(tmp_path / "m", {"a": data})])
    assert [str(found) for found in report.findings] == ["models.m: a: changes while it is read"]


def test_a_file_that_becomes_a_link_or_fifo_between_listing_and_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = fill(tmp_path / "m", {"a": b"a", "b": b"b"})
    fill(tmp_path, {"outside": b"a"})
    run = hashing.Pool.run

    def swapped(pool: hashing.Pool, workers: int) -> None:
        (model / "a").unlink()
        (model / "a").symlink_to(tmp_path / "outside")
        (model / "b").unlink()
        os.mkfifo(model / "b")
        run(pool, workers)

    monkeypatch.setattr(hashing.Pool, "run", swapped)
    assert problems(guard.check([tree(model, {"a": b"a", "b": b"b"})])) == [("a", "unreadable"), ("b", "kind")]


def test_every_processor_is_used_and_a_huge_file_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"huge": b"h" * (1 << 20), **{f"small{number}": b"s" for number in range(5)}}
    model = tree(fill(tmp_path / "m", files), files)
    smalls = threading.Event()
    count = []
    one = hashing._hash_one

    def waiting(group: list[Entry], *rest: Any) -> object:
        if group[0].file.path == "huge":
            assert smalls.wait(PATIENCE)
        else:
            count.append(1)
            if len(count) == 5:
                smalls.set()
        return one(group, *rest)

    monkeypatch.setattr(hashing, "_hash_one", waiting)
    assert guard.check([model], workers=2).ok


def test_what_a_thread_raises_is_raised(model: guard.Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(hashing, "_digest", broken)
    with pytest.raises(MemoryError):
        guard.check([model])


@pytest.mark.heavy
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="proc(5) tells the peak of one program")
def test_memory_is_flat(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 29)
    digest = subprocess.run(["sha256sum", tmp_path / "huge"], capture_output=True, text=True, check=True).stdout[:64]
    (tmp_path / "m").mkdir()
    (tmp_path / "huge").rename(tmp_path / "m/huge")
    program = (
        "import re; from nixgen import guard\n"
        f"t = guard.Tree('m', {str(tmp_path / 'm')!r}, (guard.File('huge', 1 << 29, {digest!r}),))\n"
        "assert guard.check([t], workers=8).ok\n"
        # Not getrusage: its peak is kept over the start of another program, so it would be that of the tests.
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    )
    peak = int(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)
    assert peak << 10 < 100 << 20
