"""The cache's log at a million entries: appending, proving, and reading all of it."""

from __future__ import annotations

import base64
import hashlib
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Row, Series, show
from bench.project import CACHE
from nixgen.cache.entry import Entry, read
from nixgen.log import merkle
from nixgen.log.append import append
from nixgen.log.checkpoint import Checkpoint
from nixgen.log.log import Log
from nixgen.log.note import Signer
from nixgen.log.seen import Seen
from nixgen.log.stores.folder import Folder
from nixgen.log.tiles import CHECKPOINT, Tiles, grown
from nixgen.nix import base32

SIZE = 1_000_000
SIGNER = Signer("bench.example.com/log", bytes(32))
PUSH = 100  # entries of one push: what a changed project adds
ROUNDS = 15
PROOFS = 200
APPEND = 0.001  # seconds an entry
PROOF = 0.010  # seconds
_CHUNK = 1 << 16


def logs() -> list[Row]:
    """Appends to and proofs from a log of 1,000,000 generated entries, in a folder."""
    folder = _prepared(CACHE / "log")
    (CACHE / "log-seen.sqlite").unlink(missing_ok=True)
    seen = Seen(Entry, CACHE / "log-seen.sqlite")
    seconds = _timed(lambda: seen.update(Log.open(Folder(folder), SIGNER.verifier)))
    what = f"what the first push from a machine does before: reading {SIZE:,} entries and remembering them"
    first = Row(what, f"{show(seconds)}, {seconds / SIZE * 1e6:.0f} µs an entry")
    return [*_appends(folder, seen), _proofs(folder), _whole(folder), first]


def _appends(folder: Path, seen: Seen[Entry]) -> list[Row]:
    """Pushes of some size: opening the log, looking for conflicts, writing and syncing, signing."""
    rows, first = [], Log.open(Folder(folder), SIGNER.verifier).size
    for count in (PUSH, 1):
        times = []
        for _ in range(ROUNDS):
            said = list(_entries(first, first + count))
            first += count

            def push(said: list[Entry] = said) -> None:
                done = append(Log.open(Folder(folder), SIGNER.verifier), said, SIGNER, seen)
                assert len(done.added) == len(said)

            times.append(_timed(push) / count)
        series = Series(tuple(times))
        limit = f"≤ {show(APPEND)}" if count == PUSH else ""
        what = f"appending to a log of {SIZE:,} entries, an entry of a push of {count:,}"
        rows.append(Row(what, _fine(series), limit, series.median <= APPEND if limit else None, "synced to the disk"))
    return rows


def _proofs(folder: Path) -> Row:
    """Each proof from a log that was opened for it: nothing is in memory."""
    noise, times = random.Random(5), []
    for _ in range(PROOFS):
        index = noise.randrange(SIZE)

        def prove(index: int = index) -> None:
            log = Log.open(Folder(folder), SIGNER.verifier)
            proof, leaf = log.inclusion(index), merkle.leaf_hash(log.line(index))
            assert merkle.included(index, log.size, leaf, proof, log.root)

        times.append(_timed(prove))
    series = Series(tuple(times))
    what = f"an entry and its inclusion proof, made and checked, of {SIZE:,} entries"
    return Row(what, _fine(series), f"≤ {show(PROOF)}", series.median <= PROOF, "the log opened for each")


def _whole(folder: Path) -> Row:
    log = Log.open(Folder(folder), SIGNER.verifier)
    seconds = _timed(lambda: sum(1 for _ in read(log)))
    return Row(
        f"reading and checking all of {SIZE:,} entries", f"{show(seconds)}, {seconds / SIZE * 1e6:.0f} µs an entry"
    )


def _prepared(folder: Path) -> Path:
    """A log of a million entries; made once, and begun anew when many measurements have made it longer."""
    if (folder / CHECKPOINT).exists():
        if Log.open(Folder(folder), SIGNER.verifier).size < SIZE + 100_000:
            return folder
        shutil.rmtree(folder)
    size, root = 0, merkle.EMPTY
    store = Folder(folder)
    while size < SIZE:
        end = min(size + _CHUNK, SIZE)
        lines = [entry.line() for entry in _entries(size, end)]
        for name, data in grown(Tiles(store, size, root), lines).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        size, root = end, Tiles(store, end, None).root()
    store.write(CHECKPOINT, Checkpoint.signed(SIGNER, size, root).note.encode())
    return folder


def _entries(start: int, end: int) -> Iterator[Entry]:
    """Entries with five references each, which differ in all that makes them differ."""
    for number in range(start, end):
        names = [_name(f"{number} {part}") for part in range(6)]
        digest = base64.b64encode(hashlib.sha256(b"%d" % number).digest()).decode()
        path = f"{names[0]}-python3.12-package-{number}"
        references = tuple(sorted({path, *(f"{name}-dependency" for name in names[1:5])}))
        yield Entry(path, f"sha256-{digest}", 1000 + number, references, f"{names[5]}-package.drv", "out")


def _name(what: str) -> str:
    return "".join(base32.ALPHABET[byte & 31] for byte in hashlib.sha256(what.encode()).digest())


def _timed(do: object) -> float:
    assert callable(do)
    started = time.perf_counter()
    do()
    return time.perf_counter() - started


def _fine(series: Series) -> str:
    low, high = min(series.seconds), max(series.seconds)
    return f"{series.median * 1e3:.2f} ms ({low * 1e3:.2f} ms to {high * 1e3:.2f} ms, {len(series.seconds)} runs)"
