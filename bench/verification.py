"""The guard: how fast it hashes beside one core's hashlib, in how much memory, and how soon a stamp lets it pass."""

from __future__ import annotations

import compileall
import hashlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.measure import Row, Series, show, timed, within
from bench.project import CACHE
from nixgen import guard
from nixgen.guard.hashing import processors

GIB = 1 << 30
SIZES = tuple(part * (GIB >> 3) for part in (8, 6, 5, 4, 4, 2, 2, 1))  # 4 GiB in eighths
ROUNDS = 3
MEMORY = 100 * 10**6  # bytes


def verification() -> list[Row]:
    """4 GiB in several files, hashed by one thread and by the guard in turn; then the guard as a program."""
    expected = _expected(CACHE / "verification", SIZES)
    trees = guard.read(str(expected))
    cores = processors()
    alone, memory, ours = [], [], []
    for _ in range(ROUNDS):
        alone.append(_one_core(trees[0]))
        memory.append(_in_memory())
        report = guard.check(trees)
        if not report.ok:
            sys.exit(report.text())
        ours.append(report.hashed / report.seconds)
    ratio = statistics.median(o / (cores * a) for o, a in zip(ours, alone, strict=True))
    what = f"verifying 4 GiB in {len(SIZES)} files on {cores} cores, beside hashlib over the same files on one"
    one, many = statistics.median(alone) / GIB, statistics.median(ours) / GIB
    measured = f"{ratio:.2f} x {cores} x {one:.2f} GiB/s = {many:.2f} GiB/s ({ROUNDS} rounds in turn)"
    note = f"of data that is in memory already, one core hashes {statistics.median(memory) / GIB:.2f} GiB/s"
    limit = 0.9
    return [
        Row(what, measured, f"≥ {limit:.2f} x cores x one core", ratio >= limit, note),
        _memory(expected),
        *_stamps(),
    ]


def _one_core(tree: guard.Tree) -> float:
    """Bytes a second of hashlib.file_digest, one file after the other."""
    started = time.perf_counter()
    for file in tree.files:
        with Path(tree.folder, file.path).open("rb", buffering=0) as opened:
            hashlib.file_digest(opened, "sha256")
    return sum(file.size for file in tree.files) / (time.perf_counter() - started)


def _in_memory() -> float:
    """Bytes a second of hashlib over one MiB, again and again: no reading."""
    data, digest = bytes(1 << 20), hashlib.sha256()
    started = time.perf_counter()
    for _ in range(1 << 10):
        digest.update(data)
    return (1 << 30) / (time.perf_counter() - started)


def _memory(expected: Path) -> Row:
    program = (
        "import re; from nixgen import guard\n"
        f"assert guard.check(guard.read({str(expected)!r})).ok\n"
        # Not getrusage: its peak is kept over the start of another program, so it would be this one's.
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    )
    out = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True).stdout
    peak = int(out) << 10
    what = "memory of the guard at its peak, over the same files"
    return Row(what, f"{peak / 10**6:.0f} MB", f"≤ {MEMORY // 10**6} MB", peak <= MEMORY)


def _stamps() -> list[Row]:
    """The guard as a program, from its start to that of ``true``: 4 GiB in a few files, and a thousand files."""
    rows = []
    for name, sizes, what in (
        ("verification", SIZES, f"4 GiB in {len(SIZES)} files"),
        ("verification-many", (4096,) * 1000, "1,000 files"),
    ):
        expected = _expected(CACHE / name, sizes)
        stamps = CACHE / f"{name}-stamps"
        command = [sys.executable, "-I", "-S", _program(), "--expected", str(expected), "--stamp", str(stamps)]
        command += ["--", "true"]
        shown = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=True).stderr
        if "stamp: fresh" not in subprocess.run(command, stderr=subprocess.PIPE, text=True, check=True).stderr:
            sys.exit(f"the stamp is not used: {shown}")
        (series,) = timed([command], 21, warm=2)
        rows.append(within(f"start of a program behind a fresh stamp, {what}", series, 0.05, _python(series)))
    return rows


def _program() -> str:
    """The guard as a service has it: a copy of its own, with byte code (nix/builders/service.py)."""
    folder = CACHE / "guard"
    shutil.copytree(Path(guard.__file__).parent, folder, dirs_exist_ok=True)
    compileall.compile_dir(folder, quiet=1, force=True)
    return str(folder)


def _python(ours: Series) -> str:
    (bare,) = timed([[sys.executable, "-I", "-S", "-c", ""]], len(ours.seconds), warm=2)
    return f"Python alone: {show(bare.median)}"


def _expected(folder: Path, sizes: tuple[int, ...]) -> Path:
    """A folder with files of these sizes, made once, and the JSON of what it must hold."""
    listing = folder.with_suffix(".json")
    if listing.exists():
        return listing
    folder.mkdir(parents=True, exist_ok=True)
    noise, files = random.Random(3), []
    for index, size in enumerate(sizes):
        digest, block = hashlib.sha256(), noise.randbytes(min(size, 1 << 20))
        with (folder / f"{index:04}.bin").open("wb") as file:
            for number in range(-(-size // len(block))):
                part = number.to_bytes(8, "little") + block[8:]
                file.write(part)
                digest.update(part)
            os.fsync(file.fileno())
        files.append({"path": f"{index:04}.bin", "size": size, "sha256": digest.hexdigest()})
    listing.write_text(
        json.dumps({"version": 1, "trees": [{"name": "models.large", "path": str(folder), "files": files}]})
    )
    time.sleep(2.1)  # what is newer is not stamped
    return listing
