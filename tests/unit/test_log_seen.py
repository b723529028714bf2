"""What is remembered of a log between runs."""

from __future__ import annotations

import dataclasses
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from logs import SIGNER, Memory, append, entries, entry, filled, opened

from nixgen.cache.entry import Entry, read
from nixgen.errors import MachineError
from nixgen.log.findings import LogFinding
from nixgen.log.seen import Seen


def test_only_what_is_new_is_read(tmp_path: Path) -> None:
    store = filled(600)
    seen = Seen(Entry, tmp_path / "a" / "seen.sqlite")
    seen.update(opened(store))
    assert seen.select([entry(3), entry(600)]) == ((entry(600),), ())
    seen.close()
    append(opened(store), entries(600, 700), SIGNER)
    store.reads.clear()
    seen = Seen(Entry, tmp_path / "a" / "seen.sqlite")
    seen.update(opened(store))
    assert {name for name in store.reads if "lines" in name} == {"tile/lines/002.p/188"}
    assert seen.select([entry(3), entry(699), entry(700)]) == ((entry(700),), ())
    store.reads.clear()
    seen.update(opened(store))
    assert [name for name in store.reads if "lines" in name] == []


def test_a_log_that_does_not_go_on_from_what_was_seen(tmp_path: Path) -> None:
    """No project needs to have recorded it: this machine has seen it."""
    seen = Seen(Entry, tmp_path / "seen.sqlite")
    seen.update(opened(filled(300)))
    with pytest.raises(LogFinding, match="was shortened: it had 300 entries, and has 290"):
        seen.update(opened(filled(290)))
    with pytest.raises(LogFinding, match="was shortened"):
        seen.update(opened(Memory()))
    seen.update(opened(filled(300, 301)))


@pytest.mark.parametrize("content", [b"no database", b""])
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "seen.sqlite"
    file.write_bytes(content)
    seen = Seen(Entry, file)
    seen.update(opened(filled(3)))
    assert seen.select([entry(1)]) == ((), ())


def test_a_database_of_a_newer_nixgen(tmp_path: Path) -> None:
    file = tmp_path / "seen.sqlite"
    database = sqlite3.connect(file)
    database.execute("PRAGMA user_version = 2")
    database.close()
    before = file.read_bytes()
    seen = Seen(Entry, file)
    seen.update(opened(filled(3)))
    assert seen.select([entry(1)]) == ((), ())
    assert file.read_bytes() == before


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    seen = Seen(Entry, tmp_path / "file" / "seen.sqlite")
    seen.update(opened(filled(3)))
    assert seen.select([entry(1), entry(3)]) == ((entry(3),), ())


def test_a_database_that_breaks_meanwhile(tmp_path: Path) -> None:
    file = tmp_path / "seen.sqlite"
    seen = Seen(Entry, file)
    seen.update(opened(filled(600)))
    file.write_bytes(b"x" * file.stat().st_size)
    seen.close()
    database = sqlite3.connect(":memory:")
    seen._database = database
    with pytest.raises(MachineError, match=f"^{file}: cannot be used: no such table"):
        seen.select([entry(1)])


def test_a_checkpoint_that_nobody_signed_is_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "seen.sqlite"
    seen = Seen(Entry, file)
    seen.update(opened(filled(3)))
    seen.close()
    database = sqlite3.connect(file)
    with database:
        database.execute("UPDATE seen SET note = 'x'")
        database.execute("INSERT INTO said VALUES (x'00', x'00')")
    database.close()
    seen = Seen(Entry, file)
    seen.update(opened(filled(3)))
    seen.close()
    database = sqlite3.connect(file)
    assert database.execute("SELECT count(*) FROM said").fetchone() == (6,)
    database.close()


def test_a_file_for_each_store_and_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    one = opened(filled(3))
    Seen.of(one, Entry).update(one)
    with pytest.raises(LogFinding):
        Seen.of(one, Entry).update(opened(Memory()))
    elsewhere = Memory()
    elsewhere.where = "memory:other"
    Seen.of(opened(elsewhere), Entry).update(opened(filled(2)))
    assert len(list((tmp_path / "nixgen" / "logs").glob("*.sqlite"))) == 2
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    Seen.of(one, Entry).update(one)
    assert (tmp_path / "home" / ".cache" / "nixgen" / "logs").is_dir()


ANY = st.builds(
    lambda number, content, drv, other: dataclasses.replace(
        entry(number, content=content), drv=entry(drv).drv, references=() if other else entry(number).references
    ),
    st.integers(0, 3),
    st.integers(0, 1),
    st.integers(0, 3),
    st.booleans(),
)


@given(st.lists(st.lists(ANY, max_size=5), max_size=5))
def test_conflicts_are_told_as_by_comparing_with_every_entry(pushes: list[list[Entry]]) -> None:
    store = Memory()
    for push in pushes:
        before = list(read(opened(store))) if store.files else []
        done = append(opened(store), push, SIGNER)
        expected = []
        for item in push:
            same = [old for old in before if old.path == item.path or (old.drv, old.output) == (item.drv, item.output)]
            facts = [(old.nar_hash, old.nar_size, old.references) for old in same]
            told = dataclasses.replace(
                item, conflict=any(fact != (item.nar_hash, item.nar_size, item.references) for fact in facts)
            )
            before.append(told)
            if told.conflict:
                expected.append(told)
        assert list(done.conflicts) == expected
        log = opened(store)
        assert {item.path for item in push} <= {item.path for item in read(log)}
