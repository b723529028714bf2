"""Recorded runs: what a record adds to a command in the project's shell, and how fast outputs are hashed."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measure import Row, Series, show, timed
from bench.project import CACHE, NIXGEN, notebook, with_a_shell
from nixgen.guard.hashing import processors
from nixgen.runs import outputs

if TYPE_CHECKING:
    from support.nix import Nix

OVERHEAD = 0.3  # seconds
HASHING = 0.9  # of cores times one core of hashlib
FILES, SIZE = 8, 64 << 20


def runs() -> list[Row]:
    """``nixgen run --record`` beside the bare command, in the shell; then hashing."""
    folder, rows = notebook("debian"), []
    for nix in with_a_shell():
        command = ["python", "-c", "pass"]
        record = [NIXGEN, "run", "--quiet", "--record", "--", *command]

        bare, recorded = timed([command, record], 15, warm=2, cwd=folder, through=_in_shell(nix, folder))
        more = recorded.median - bare.median
        what = f"`nixgen run --record`, more than the bare command, Nix {'.'.join(map(str, nix.version))}"
        said = f"{show(more)} ({show(recorded.median)}; `python -c pass`: {show(bare.median)})"
        rows.append(Row(what, said, f"≤ {show(OVERHEAD)}", more <= OVERHEAD))
        slow = ["python", "-c", "import time; time.sleep(1)"]
        bare, recorded = timed([slow, [*record[:5], *slow]], 5, cwd=folder, through=_in_shell(nix, folder))
        said = f"{show(recorded.median - bare.median)} ({show(recorded.median)}; alone: {show(bare.median)})"
        rows.append(Row("the same, of a command that takes a second", said))
    return [*rows, _hashing()]


def _in_shell(nix: Nix, folder: Path) -> Callable[..., str]:
    return lambda *argv, cwd=None: nix.develop(cwd or folder, *argv).stdout


def _hashing() -> Row:
    """Eight files of 64 MiB, cached in memory, beside one core of hashlib over the same files.

    Of bytes that are a Python object already hashlib hashes a tenth more: reading a file copies it.
    """
    folder = CACHE / "outputs"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(FILES):
        place = folder / str(number)
        if not place.exists() or place.stat().st_size != SIZE:
            place.write_bytes(os.urandom(SIZE))
    ours, alone = [], []
    for _ in range(5):
        began = time.perf_counter()
        outputs.collect([folder], {})
        ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        for number in range(FILES):
            with (folder / str(number)).open("rb") as file:
                hashlib.file_digest(file, "sha256")
        alone.append(time.perf_counter() - began)
    cores = processors()
    reached = Series(tuple(alone)).median / Series(tuple(ours)).median
    said = f"{reached:.2f} times hashlib over the same files on one core ({cores} cores)"
    limit = HASHING * cores
    return Row(f"hashing {FILES} outputs of {SIZE >> 20} MiB", said, f"≥ {limit:.2f} times", reached >= limit)
