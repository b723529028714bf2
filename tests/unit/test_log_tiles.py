"""The layout of a log, against the specification's examples and a plain reading of its definition."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logs import SIGNER, VERIFIER, Memory, append, entries, filled
from test_log_merkle import mth

from nixgen.cache.entry import read
from nixgen.log import merkle
from nixgen.log.findings import LogFinding
from nixgen.log.log import Log
from nixgen.log.stores.folder import Folder
from nixgen.log.tiles import Tiles, grown, tile_name


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (0, "000"),
        (7, "007"),
        (999, "999"),
        (1000, "x001/000"),
        (1234067, "x001/x234/067"),
        (10**9, "x001/x000/x000/000"),
    ],
)
def test_names(number: int, name: str) -> None:
    assert tile_name(0, number) == f"tile/0/{name}"
    assert tile_name(3, number, 17) == f"tile/3/{name}.p/17"
    assert tile_name("lines", number, 256) == f"tile/lines/{name}"


def test_the_tiles_of_the_specification_example() -> None:
    """70,000 entries: 273 full tiles and one of 112; one full and one of 17; one of 1."""
    files = grown(Tiles(Memory(), 0, None), [b"%d" % number for number in range(70_000)])
    full = [name for name in files if name.startswith("tile/0/") and ".p/" not in name]
    assert (len(full), len(files[full[0]])) == (273, 8192)
    rest = {name: len(data) // 32 for name, data in files.items() if not name.startswith(("tile/0/", "tile/lines/"))}
    assert rest == {"tile/1/000": 256, "tile/1/001.p/17": 17, "tile/2/000.p/1": 1}
    assert len(files["tile/0/273.p/112"]) == 112 * 32


def test_256_entries_have_a_full_tile_and_a_partial_one_of_width_1() -> None:
    files = grown(Tiles(Memory(), 0, None), [b"%d" % number for number in range(256)])
    assert sorted(files) == ["tile/0/000", "tile/1/000.p/1", "tile/lines/000"]


def layout(lines: list[bytes]) -> dict[str, bytes]:
    """The files of a log of these lines, by the definition: MTH(D[(n*256+i)*256**l : (n*256+i+1)*256**l])."""
    files = {}
    for level in range(3):
        span = 256**level
        count = len(lines) // span
        for number in range(-(-count // 256)):
            row = [
                mth(lines[at * span : (at + 1) * span]) for at in range(number * 256, min(count, number * 256 + 256))
            ]
            files[tile_name(level, number, len(row))] = b"".join(row)
    for number in range(-(-len(lines) // 256)):
        part = lines[number * 256 : number * 256 + 256]
        files[tile_name("lines", number, len(part))] = b"".join(line + b"\n" for line in part)
    return files


@settings(max_examples=25)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=6))
def test_files_are_the_same_however_the_log_grew(steps: list[int]) -> None:
    lines = [b"%d" % number for number in range(sum(steps))]
    store, size = Memory(), 0
    for step in steps:
        root = mth(lines[:size])
        store.files |= grown(Tiles(store, size, root), lines[size : size + step])
        size += step
        expected = layout(lines[:size])
        assert {name: store.files[name] for name in expected} == expected
        assert Tiles(store, size, None).root() == mth(lines[:size])


def test_proofs_through_levels_of_tiles() -> None:
    lines = [b"%d" % number for number in range(66_000)]
    store = Memory()
    store.files = grown(Tiles(store, 0, None), lines)
    leaves = [merkle.leaf_hash(line) for line in lines]
    tiles = Tiles(store, len(lines), None)
    root = tiles.root()
    checked = Tiles(store, len(lines), root)
    for index in (0, 255, 256, 65_535, 65_536, 65_999):
        proof = merkle.inclusion(index, len(lines), checked.perfect)
        assert merkle.included(index, len(lines), leaves[index], proof, root)
    for old in (1, 256, 257, 65_536, 65_537, 66_000):
        proof = merkle.consistency(old, len(lines), checked.perfect)
        assert merkle.consistent(old, len(lines), checked.root(old), root, proof)
    assert checked.root(65_536) == merkle.row_hash(leaves[:65_536])


def test_a_proof_reads_few_files() -> None:
    store = filled(2000)
    store.reads.clear()
    log = Log.open(store, VERIFIER)
    log.inclusion(700)
    tiles = [name for name in store.reads if name.startswith("tile/")]
    assert sorted(tiles) == ["tile/0/002", "tile/0/007.p/208", "tile/1/000.p/7"]


STORE = filled(3, 300, 800)  # never written to by a test


@pytest.mark.parametrize("name", sorted(name for name in STORE.files if name.startswith("tile/")))
def test_every_changed_byte_and_every_missing_file_is_found(name: str) -> None:
    used = name in layout([entry.line() for entry in entries(0, 800)])
    data = STORE.files[name]
    broken = [data[:-1] + bytes([data[-1] ^ 1]), b"\0" + data[1:], data[:-32], b"", data[32:] + data[:32], None]
    for new in broken:
        files = {path: item for path, item in STORE.files.items() if path != name}
        log = Log.open(Memory(files if new is None else {**files, name: new}), VERIFIER)
        if not used:  # a partial tile of a checkpoint of earlier
            assert len(list(read(log))) == 800
            continue
        with pytest.raises(LogFinding) as caught:
            list(read(log))
        assert caught.value.kind == "damaged"
        assert name in str(caught.value) or "its tiles lead to the root" in str(caught.value)


def test_the_sentences_of_damage() -> None:
    for name, data, what in (
        ("tile/0/001", None, "memory:log: tile/0/001: is missing"),
        ("tile/0/001", bytes(32), "memory:log: tile/0/001: has 32 bytes, not 8192"),
        ("tile/0/001", bytes(8192), "memory:log: tile/0/001: holds other hashes than those of the checkpoint"),
        ("tile/lines/003.p/32", b"x\n", "memory:log: tile/lines/003.p/32: has not 32 whole lines"),
        (
            "tile/lines/001",
            b"x\n" * 256,
            "memory:log: tile/lines/001: holds other entries than those of the checkpoint",
        ),
    ):
        files = {path: item for path, item in STORE.files.items() if path != name}
        log = Log.open(Memory(files if data is None else {**files, name: data}), VERIFIER)
        with pytest.raises(LogFinding) as caught:
            list(read(log))
        assert str(caught.value) == f"{what}\n  hint: the log cannot be trusted: ask its owner"


def test_a_reader_with_an_older_checkpoint_reads_full_tiles() -> None:
    """A partial tile may go when it is full; the bytes of its beginning are the same."""
    old = filled(3)
    new = filled(3, 300)
    assert not any(name.startswith("tile/0/000.p") for name in new.files)
    log = Log.open(Memory({**new.files, "checkpoint": old.files["checkpoint"]}), VERIFIER)
    assert list(read(log)) == entries(0, 3)


def test_a_folder_holds_the_same_files(tmp_path: Path) -> None:
    log = Log.open(Folder(tmp_path), VERIFIER)
    for start, end in ((0, 3), (3, 300), (300, 800)):
        append(log, entries(start, end), SIGNER)
    found = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert {name: data for name, data in found.items() if not name.startswith(".")} == STORE.files
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in found if not name.startswith(".")} == {0o644}
