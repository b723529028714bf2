"""A log that was tampered with is told, with the proof; an honest one never is."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logs import SIGNER, VERIFIER, Memory, append, entries, entry, filled, opened

from nixgen.cache.entry import Entry, read
from nixgen.errors import Finding
from nixgen.log import merkle
from nixgen.log.checkpoint import Checkpoint, root_text
from nixgen.log.findings import LogFinding
from nixgen.log.log import Log
from nixgen.log.note import Signer

ASK = "  hint: both checkpoints are signed by the log's key: show them to its owner, and use nothing of it"


def seen(store: Memory) -> Checkpoint:
    found = opened(store).checkpoint()
    assert found is not None
    return found


def finding(store: Memory, recorded: Checkpoint | None = None, verifier: object = VERIFIER) -> LogFinding:
    with pytest.raises(LogFinding) as caught:
        Log.open(store, verifier, recorded)  # type: ignore[arg-type]
    assert isinstance(caught.value, Finding)
    return caught.value


def forge(said: list[Entry]) -> Memory:
    """A log of other entries, by someone who has the key."""
    made = Memory()
    append(opened(made), said, SIGNER)
    return made


def test_a_log_that_nobody_has_appended_to() -> None:
    log = opened(Memory())
    assert (log.checkpoint(), log.size, log.root, list(read(log))) == (None, 0, merkle.EMPTY, [])


def test_reading() -> None:
    store = filled(3, 300, 800)
    log = opened(store)
    assert log.size == 800
    assert list(read(log)) == entries(0, 800)
    assert list(read(log, 257)) == entries(257, 800)
    assert list(read(log, 800)) == []
    assert [Entry.parse(log.line(index)) for index in (0, 255, 256, 799)] == [
        entry(index) for index in (0, 255, 256, 799)
    ]
    for index in (-1, 800):
        with pytest.raises(IndexError):
            Entry.parse(log.line(index))
    with pytest.raises(ValueError, match=r"^the log has 800 entries, not 801$"):
        log.consistency(3, 801)


@settings(max_examples=30)
@given(st.lists(st.integers(1, 200), min_size=1, max_size=5), st.data())
def test_an_honest_log_goes_on_from_every_checkpoint_of_its_own(steps: list[int], data: st.DataObject) -> None:
    store, size, made = Memory(), 0, []
    for step in steps:
        append(opened(store), entries(size, size + step), SIGNER)
        size += step
        made.append(seen(store))
    for recorded in made:
        log = Log.open(store, VERIFIER, recorded)
        proof = log.consistency(recorded.size)
        assert merkle.consistent(recorded.size, log.size, recorded.root, log.root, proof)
        assert merkle.consistent(
            recorded.size, made[-1].size, recorded.root, made[-1].root, log.consistency(recorded.size, made[-1].size)
        )
    index = data.draw(st.integers(0, size - 1))
    assert merkle.included(index, log.size, merkle.leaf_hash(entry(index).line()), log.inclusion(index), log.root)


def test_shortened() -> None:
    """The last entries are cut off, and the smaller log is signed with the right key."""
    store = filled(300)
    recorded = seen(store)
    shorter = forge(entries(0, 290))
    found = finding(shorter, recorded)
    assert found.kind == "shortened"
    assert found.proof is not None
    assert (found.proof.known, found.proof.found) == (recorded, seen(shorter))
    assert str(found) == (
        "memory:log: was shortened: it had 300 entries, and has 290\n"
        f"    recorded: 300 entries, root {root_text(recorded.root)}\n"
        f"    found now: 290 entries, root {root_text(seen(shorter).root)}\n{ASK}"
    )


def test_gone() -> None:
    recorded = seen(filled(5))
    found = finding(Memory(), recorded)
    assert found.kind == "shortened"
    assert "was shortened: it had 5 entries, and has 0\n" in str(found)
    assert "\n    found now: no checkpoint\n" in str(found)
    assert "both checkpoints" not in str(found)


@pytest.mark.parametrize("size", [300, 301, 900])
def test_forked(size: int) -> None:
    """An entry of the past is another one, the log is as long or longer, and signed with the right key."""
    recorded = seen(filled(300))
    changed = [*entries(0, 7), entry(7, content="other"), *entries(8, size)]
    other = forge(changed)
    found = finding(other, recorded)
    assert found.kind == "forked"
    assert found.proof is not None
    what = "memory:log: was forked: the recorded checkpoint is of other entries than those that are there now\n"
    assert str(found).startswith(what)
    if size > 300:
        # Anybody can check it: the hashes lead to the root that is signed now, and to another root for 300 entries.
        before = found.proof.leads_to
        assert before not in (None, recorded.root)
        assert merkle.consistent(300, size, before or b"", seen(other).root, found.proof.hashes)
        assert f"root that the log's tiles give for 300 entries: {root_text(before or b'')}" in str(found)
        assert f"hash 1 of the proof: {root_text(found.proof.hashes[0])}" in str(found)


def test_forked_and_shortened() -> None:
    recorded = seen(filled(300))
    other = forge([entry(7, content="other"), *entries(8, 20)])
    assert finding(other, recorded).kind == "shortened"  # what is there leads nowhere near the recorded one


def test_a_smaller_fork_over_the_recorded_tiles() -> None:
    store = filled(300)
    recorded = seen(store)
    small = forge(entries(50, 60))
    found = finding(Memory({**store.files, "checkpoint": small.files["checkpoint"]}), recorded)
    assert found.kind == "forked"
    assert found.proof is not None
    assert merkle.consistent(10, 300, found.proof.leads_to or b"", recorded.root, found.proof.hashes)


@pytest.mark.parametrize("size", [1, 3, 256, 299])
def test_replayed(size: int) -> None:
    """An old checkpoint is put back; all entries are there."""
    store = filled(size, 300)
    recorded = seen(store)
    old = filled(size).files["checkpoint"]
    found = finding(Memory({**store.files, "checkpoint": old}), recorded)
    assert found.kind == "replayed"
    assert found.proof is not None
    assert merkle.consistent(size, 300, Checkpoint.unverified(old).root, recorded.root, found.proof.hashes)
    assert f"shows an old checkpoint again: it had 300 entries, and the checkpoint says {size}\n" in str(found)


def test_replayed_from_the_beginning() -> None:
    store = filled(5)
    empty = Checkpoint.signed(SIGNER, 0, merkle.EMPTY).note.encode()
    found = finding(Memory({**store.files, "checkpoint": empty}), seen(store))
    assert found.kind == "replayed"
    opened(Memory({"checkpoint": empty})).check(Checkpoint.unverified(empty))


def test_unsigned() -> None:
    store = filled(5)
    other = Signer("example.com/log", b"\1" * 32)
    assert str(finding(store, verifier=other.verifier)) == (
        f"memory:log: checkpoint: is not signed by example.com/log+{other.verifier.id.hex()}\n"
        "  hint: compare the log's key with the one that its owner gave you"
    )
    for data in (b"", b"\xff", b"x\n", store.files["checkpoint"].replace(b"\n5\n", b"\n6\n"), b"x" * (2 << 20)):
        assert finding(Memory({**store.files, "checkpoint": data})).kind == "unsigned"


def test_a_recorded_checkpoint_must_be_signed_by_the_log() -> None:
    """Else a person could be shown a "proof" against an honest log."""
    store = filled(5)
    recorded = seen(store)
    forged = Checkpoint.signed(Signer("example.com/log", b"\1" * 32), 9, merkle.EMPTY)
    for wrong in (forged, dataclasses.replace(recorded, size=9)):
        found = finding(store, wrong)
        assert (found.kind, found.proof) == ("unsigned", None)
        assert str(found).startswith("the recorded checkpoint: is not ")


def test_signed_entries_that_are_none() -> None:
    """The key's owner may log anything; what is no entry is not read as one."""
    from nixgen.log.tiles import Tiles, grown

    store = Memory()
    store.files = grown(Tiles(store, 0, None), [b"hello"])
    root = Tiles(store, 1, None).root()
    store.files["checkpoint"] = Checkpoint.signed(SIGNER, 1, root).note.encode()
    with pytest.raises(LogFinding, match=r"^memory:log: entry 0: is not an entry: it is not a line of JSON"):
        list(read(opened(store)))


def test_renewing_sees_what_happens_meanwhile() -> None:
    store = filled(5)
    log = opened(store)
    append(opened(store), entries(5, 9), SIGNER)
    assert log.size == 5
    log.renew()
    assert list(read(log)) == entries(0, 9)
    store.files = filled(3).files
    with pytest.raises(LogFinding, match="was shortened"):
        log.renew()
