"""Installs damaged wheels, one after another, in this process: anything but a sentence ends it with the seed.

Usage: wheelbuilder.py FOLDER SEED COUNT SECONDS; with SECONDS it goes on for as long. The folder holds good.whl.
"""

from __future__ import annotations

import importlib
import itertools
import os
import random
import shutil
import sys
import time
from pathlib import Path

BUILDERS = Path(__file__).resolve().parents[2] / "nix/builders/wheel"
# What makes the most of a field of two, four or eight bytes.
EXTREMES = [
    value.to_bytes(size, "little")
    for size in (2, 4, 8)
    for value in (0, 1, 0xFF, 2 ** (8 * size - 1), 2 ** (8 * size) - 1)
]


def damaged(good: bytes, chance: random.Random) -> bytes:
    """The wheel with some of its bytes changed, mostly where its directory, headers and ELF files are."""
    data = bytearray(good)
    marks = [
        place
        for mark in (b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"\x7fELF", b".dist-info")
        for place in places(good, mark)
    ]
    for _ in range(chance.choice([1, 1, 2, 5])):
        start = chance.choice(marks) + chance.randrange(200) if chance.random() < 0.9 else chance.randrange(len(data))
        value = chance.choice([*EXTREMES, bytes([chance.randrange(256)])])
        data[start : start + len(value)] = value
    return bytes(data[: chance.randrange(len(data))] if chance.random() < 0.05 else data)


def places(data: bytes, mark: bytes) -> list[int]:
    """Where a text stands."""
    found, start = [], data.find(mark)
    while start >= 0:
        found.append(start)
        start = data.find(mark, start + 1)
    return found


def main(folder: Path, seed: int, count: int, seconds: float) -> None:
    os.environ |= {"src": str(folder / "bad.whl"), "out": str(folder / "out"), "file": "bad.whl", "python": "3.13"}
    os.environ |= {"loader": "/loader", "rpath": "/rpath", "libdeflate": "", "NIX_BUILD_CORES": "1"}
    sys.path.insert(0, str(BUILDERS))
    install, relink, archive = map(importlib.import_module, ("install", "relink", "archive"))
    good = (folder / "good.whl").read_bytes()
    until = time.monotonic() + seconds
    refused = 0
    for number in itertools.count(seed):
        if number >= seed + count and time.monotonic() > until:
            break
        shutil.rmtree(folder / "out", ignore_errors=True)
        (folder / "bad.whl").write_bytes(damaged(good, random.Random(number)))
        try:
            wheel = install.Wheel(str(folder / "bad.whl"))
            install.entry_points(wheel)
            install.install(wheel, list(wheel.archive.members))
        except (archive.Damaged, relink.Unwritable):
            refused += 1
        except BaseException:
            print(f"seed {number}", file=sys.stderr)
            raise
    print(f"{number - seed} tried, {refused} refused")


main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
