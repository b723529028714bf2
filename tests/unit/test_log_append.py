"""Appending: whatever crashes and whoever else appends, no entry that was acknowledged is lost, and nothing forks."""

from __future__ import annotations

import dataclasses
import multiprocessing
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from logs import SIGNER, VERIFIER, CrashError, Memory, Watched, append, crashing, entries, entry, filled, opened

from nixgen.cache.entry import Entry, read
from nixgen.errors import MachineError, UserError
from nixgen.log import merkle
from nixgen.log.append import Announcement, Appended
from nixgen.log.checkpoint import Checkpoint
from nixgen.log.log import Log
from nixgen.log.note import Signer
from nixgen.log.seen import Seen
from nixgen.log.stores.folder import Folder


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)


def test_what_an_append_tells() -> None:
    store = Memory()
    done = append(opened(store), entries(0, 3), SIGNER)
    assert done == Appended(done.checkpoint, tuple(entries(0, 3)))
    assert done.checkpoint == opened(store).checkpoint()
    again = append(opened(store), [entry(1), entry(7)], SIGNER)
    assert again.added == (entry(7),)
    assert again.checkpoint.size == 4
    nothing = append(opened(store), entries(0, 3), SIGNER)
    assert (nothing.checkpoint, nothing.added) == (again.checkpoint, ())
    assert not [name for name in store.files if name.startswith("pending/")]


def test_an_empty_log_gets_a_checkpoint() -> None:
    store = Memory()
    done = append(opened(store), [], SIGNER)
    assert (done.checkpoint.size, done.checkpoint.root) == (0, merkle.EMPTY)
    log = Log.open(store, VERIFIER, done.checkpoint)
    assert append(log, entries(0, 300), SIGNER).checkpoint.size == 300


def test_another_hash_for_the_same_path_is_logged_once_and_told_always() -> None:
    store = filled(5)
    other = entry(3, content="other")
    marked = dataclasses.replace(other, conflict=True)
    first = append(opened(store), [other, entry(5)], SIGNER)
    assert first == Appended(first.checkpoint, (marked, entry(5)), (marked,))
    second = append(opened(store), [other], SIGNER)
    assert second == Appended(first.checkpoint, (), (marked,))
    # The first hash is in conflict from then on, too.
    third = append(opened(store), [entry(3)], SIGNER)
    assert third == Appended(first.checkpoint, (), (dataclasses.replace(entry(3), conflict=True),))
    assert list(read(opened(store)))[5:] == [marked, entry(5)]


def test_conflicts_within_one_append() -> None:
    done = append(opened(Memory()), [entry(3), entry(3, content="other"), entry(3)], SIGNER)
    marked = dataclasses.replace(entry(3, content="other"), conflict=True)
    assert done.added == (entry(3), marked)
    assert done.conflicts == (marked, dataclasses.replace(entry(3), conflict=True))


def test_another_path_for_the_same_output_is_a_conflict() -> None:
    store = filled(5)
    moved = dataclasses.replace(entry(9), drv=entry(2).drv)
    assert append(opened(store), [moved], SIGNER).conflicts == (dataclasses.replace(moved, conflict=True),)


def test_other_references_are_a_conflict() -> None:
    store = filled(5)
    assert append(opened(store), [dataclasses.replace(entry(2), references=())], SIGNER).conflicts


def test_a_path_whose_derivation_is_told_later_is_new() -> None:
    store = Memory()
    append(opened(store), [entry(1, drv=False)], SIGNER)
    done = append(opened(store), [entry(1)], SIGNER)
    assert (done.added, done.conflicts) == ((entry(1),), ())


def test_refusals() -> None:
    store = filled(2)
    other = Signer("example.com/log", b"\1" * 32)
    with pytest.raises(UserError, match=r"^the key of example.com/log is not the log's, which is example.com/log\+"):
        append(opened(store), entries(2, 3), other)
    with pytest.raises(UserError, match=re.escape("p: cannot be logged: it is not an entry: 'path' missing")):
        append(opened(store), [dataclasses.replace(entry(5), path="p")], SIGNER)
    with pytest.raises(UserError, match="whether it is in conflict is for the log to say"):
        append(opened(store), [dataclasses.replace(entry(5), conflict=True)], SIGNER)
    assert opened(store).size == 2


# A crash at any operation


@pytest.mark.parametrize(
    ("size", "more"),
    [(0, 3), (3, 2), (250, 10), *(pytest.param(size, 300, marks=pytest.mark.heavy) for size in (256, 300))],
)
def test_a_crash_at_any_write(size: int, more: int) -> None:
    whole = filled(size, size + more) if size else filled(more)
    at = 0
    while True:
        at += 1
        store = filled(size) if size else Memory()
        old = store.files.get("checkpoint")
        store.before = crashing(at)
        try:
            append(opened(store), entries(size, size + more), SIGNER)
        except CrashError:
            pass
        else:
            assert at > 5  # the announcement, tiles, the checkpoint, the announcement's end, tidying up
            break
        store.before = lambda _what, _name: None
        checkpoint = store.files.get("checkpoint")
        assert checkpoint in (old, whole.files["checkpoint"])
        log = opened(store)
        assert list(read(log)) == entries(0, log.size)  # the old log, or the new one: whole either way
        # The next append goes on from it, whether it is the same or another one.
        other = Memory(dict(store.files))
        append(opened(store), entries(size, size + more), SIGNER)
        assert list(read(opened(store))) == entries(0, size + more)
        assert store.files["checkpoint"] == whole.files["checkpoint"]
        append(opened(other), [entry(5000)], SIGNER)
        said = list(read(opened(other)))
        assert said in ([*entries(0, size), entry(5000)], [*entries(0, size + more), entry(5000)])


def test_crash_after_crash() -> None:
    """Whoever goes on crashes as well, again and again."""
    store, size = filled(250), 250
    for at in (3, 4, 5, 2, 6, 3, 1, 4, 5):
        store.before = crashing(at)
        with pytest.raises(CrashError):
            append(opened(store), entries(size, size + 9), SIGNER)
        store.before = lambda _what, _name: None
        log = opened(store)
        assert list(read(log)) == entries(0, log.size)
        size = log.size
    append(opened(store), entries(size, size + 1), SIGNER)
    log = opened(store)
    assert list(read(log)) == entries(0, log.size)


class Failing(Folder):
    """A folder whose disk is full from some write on."""

    def __init__(self, folder: Path, after: int) -> None:
        super().__init__(folder)
        self.left = after

    def write(self, name: str, data: bytes) -> None:
        self.left -= 1
        if self.left < 0:
            raise MachineError.of(self.where, "the disk is full", "free some room and try again")
        super().write(name, data)


@pytest.mark.parametrize("after", range(4))
def test_a_full_disk(tmp_path: Path, after: int) -> None:
    append(Log.open(Folder(tmp_path), VERIFIER), entries(0, 250), SIGNER)
    old = (tmp_path / "checkpoint").read_bytes()
    with pytest.raises(MachineError, match="the disk is full"):
        append(Log.open(Failing(tmp_path, after), VERIFIER), entries(250, 300), SIGNER)
    assert (tmp_path / "checkpoint").read_bytes() == old
    log = Log.open(Folder(tmp_path), VERIFIER)
    assert list(read(log)) == entries(0, 250)
    append(log, entries(250, 300), SIGNER)
    assert list(read(log)) == entries(0, 300)


@pytest.mark.heavy
def test_killed_processes(tmp_path: Path) -> None:
    """Real processes that are killed at a random moment; the folder is good after each."""
    context = multiprocessing.get_context("fork")
    noise = random.Random(4)
    for turn in range(8):
        process = context.Process(target=_append_for_ever, args=(tmp_path, turn))
        process.start()
        process.join(0.05 + noise.random() * 0.2)
        process.kill()
        process.join()
        log = Log.open(Folder(tmp_path), VERIFIER)
        assert len(list(read(log))) == log.size
        append(log, [entry(10**6 + turn)], SIGNER)
        assert entry(10**6 + turn) in list(read(log))


def _append_for_ever(folder: Path, turn: int) -> None:
    number = turn * 10_000
    while True:
        append(Log.open(Folder(folder), VERIFIER), entries(number, number + 40), SIGNER)
        number += 40


# Announcements


def announced(store: Memory, said: list[Entry]) -> bytes:
    """The announcement of an append that went no further."""
    copy = Memory(dict(store.files))

    def before(what: str, _name: str) -> None:
        if what == "write":
            raise CrashError

    copy.before = before
    with pytest.raises(CrashError):
        append(opened(copy), said, SIGNER)
    return next(data for name, data in copy.files.items() if name.startswith("pending/"))


def test_an_announcement_is_no_checkpoint_and_reads_as_it_was_written() -> None:
    data = announced(filled(3), entries(3, 5))
    found = Announcement.parse(data, VERIFIER)
    assert found is not None
    assert (found.old, found.size, found.lines) == (3, 5, tuple(item.line() for item in entries(3, 5)))
    assert found.data(SIGNER) == data
    with pytest.raises(ValueError, match="is not"):
        Checkpoint.opened(data, VERIFIER)
    assert Announcement.parse(filled(3).files["checkpoint"], VERIFIER) is None


def spoilt() -> Iterator[bytes]:
    data = announced(filled(3), entries(3, 5))
    yield b""
    yield b"\xff" * 100
    yield data[: len(data) // 2]
    yield data.replace(b"\n5\n", b"\n6\n")
    yield data[:-1]
    yield data.replace(entry(3).line(), entry(4).line())
    yield announced(filled(4), entries(4, 5))
    yield data.replace(VERIFIER.name.encode(), b"example.com/other")
    yield Signer("example.com/log", b"\1" * 32).sign("nixgen append to example.com/log\n3\n4\nA\n").encode()


@pytest.mark.parametrize("data", list(spoilt()))
def test_announcements_that_do_not_count(data: bytes) -> None:
    """Whoever may write into the store can put anything there; it is neither believed nor in the way."""
    store = filled(3)
    store.files["pending/3"] = data
    done = append(opened(store), [entry(9)], SIGNER)
    assert done.added == (entry(9),)
    assert list(read(opened(store))) == [*entries(0, 3), entry(9)]
    assert "pending/3" not in store.files


def test_a_late_announcement_is_dropped() -> None:
    """Its writer read the checkpoint before others went on, and their announcement is gone already."""
    store = filled(3)
    slow = Watched(store, [])

    def overtaken(what: str, name: str) -> None:
        if what == "create":
            slow.before = lambda _what, _name: None
            append(opened(store), entries(3, 5), SIGNER)
            assert name not in store.files

    slow.before = overtaken
    append(opened(slow), [entry(9)], SIGNER)
    assert list(read(opened(store))) == [*entries(0, 5), entry(9)]
    assert not [name for name in store.files if name.startswith("pending/")]


def test_a_store_where_others_are_always_faster() -> None:
    store = filled(3)
    slow = Watched(store, [])
    number = 100

    def overtaken(what: str, _name: str) -> None:
        nonlocal number
        if what == "create":
            number += 1
            append(opened(store), [entry(number)], SIGNER)

    slow.before = overtaken
    with pytest.raises(MachineError, match="gave up after 50 conflicting appends"):
        append(opened(slow), [entry(9)], SIGNER)


def test_what_is_known_is_used(tmp_path: Path) -> None:
    store = filled(600)
    seen = Seen(Entry, tmp_path / "seen.sqlite")
    append(opened(store), [entry(600)], SIGNER, seen)
    store.reads.clear()
    assert append(opened(store), [entry(5), entry(601)], SIGNER, seen).added == (entry(601),)
    assert {name for name in store.reads if name.startswith("tile/lines")} == {"tile/lines/002.p/89"}
