"""``nixgen check``: what it takes beside hashing the closure, how fast it hashes, and what a rebuild of all takes."""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.evaluation import through
from bench.measure import Row, Series, show, timed, within
from bench.project import NIXGEN, ROOT, let_go, nixgen, notebook, with_a_shell

if TYPE_CHECKING:
    from support.nix import Nix

GIB = 1 << 30
ROUNDS = 3


def checking() -> list[Row]:
    """The notebook, all built: the whole check, beside the same hashes by themselves; the hashing beside hashlib."""
    folder, rows = notebook("debian"), []
    for nix in with_a_shell():
        version = ".".join(map(str, nix.version))
        root = nix.build(folder, "root")
        nix.inside(NIXGEN, "check", "--update", "--quiet", cwd=folder)
        hashing = [sys.executable, "-m", "bench.checking", *nix.requisites(root)]
        facts = [json.loads(nix.inside(*hashing, cwd=ROOT).stdout) for _ in range(ROUNDS)]
        (series,) = timed([[NIXGEN, "check", "--quiet"]], ROUNDS, warm=1, cwd=folder, through=through(nix))
        took = statistics.median(fact["ours"] for fact in facts)
        rest = Series(tuple(seconds - took for seconds in series.seconds))
        note = f"the whole: {show(series.median)}; hashing {facts[0]['size'] / GIB:.2f} GiB: {show(took)}"
        rows.append(within(f"`nixgen check`, notebook, without the hashing, Nix {version}", rest, 1.5, note))
    cores = os.cpu_count() or 1
    ratio = statistics.median(fact["one"] / (cores * fact["ours"]) for fact in facts)
    one, many = (statistics.median(fact["size"] / fact[kind] for fact in facts) / GIB for kind in ("one", "ours"))
    what = f"hashing the closure on {cores} cores, beside hashlib over the same files on one"
    measured = f"{ratio:.2f} x {cores} x {one:.2f} GiB/s = {many:.2f} GiB/s ({ROUNDS} rounds in turn)"
    return [*rows, Row(what, measured, "≥ 0.90 x cores x one core", ratio >= 0.9)]


def rebuilding() -> list[Row]:
    """``--rebuild all`` of the notebook beside the first build of the same derivations, wheels fetched."""
    folder, rows = notebook("debian"), []
    for nix in with_a_shell():
        version = ".".join(map(str, nix.version))
        root = nix.build(folder, "root")
        nixgen(folder, "generate", "--quiet")
        nix.inside(NIXGEN, "check", "--update", "--quiet", cwd=folder)
        ours = sorted({entry["out"] for entry in _recipes(nix, folder).values()})
        gone = nix.run("nix-store", "--query", "--referrers-closure", *ours).stdout.split()
        let_go(nix)
        build = [str(nix.bin / "nix-build"), "--no-out-link", "-j", "auto", str(folder), "-A", "root"]
        again = [NIXGEN, "check", "--quiet", "--no-imports", "--rebuild", "all"]
        before = [[str(nix.bin / "nix-store"), "--delete", *sorted(set(gone))], None]
        first, second = timed([build, again], 1, warm=0, before=before, through=through(nix), cwd=folder)
        value = second.median / first.median
        measured = f"{value:.2f} times ({show(second.median)}; first build: {show(first.median)}; once)"
        what = f"`nixgen check --rebuild all`, notebook, {len(ours)} derivations, Nix {version}"
        rows.append(Row(what, measured, "≤ 1.30 times", value <= 1.3))
        assert nix.real(root).exists()
    return rows


def _recipes(nix: Nix, folder: Path) -> dict[str, dict[str, str]]:
    words = ("--eval", "--strict", "--json", "--read-write-mode", "-A", "recipes", folder)
    found: dict[str, dict[str, str]] = json.loads(nix.run("nix-instantiate", *words).stdout)
    return found


def main(paths: list[str]) -> int:
    """Hashes store paths with nixgen and, in turn, their files with hashlib on one core; prints both times as JSON."""
    from nixgen.nix import hashing as narhash

    sizes = {path: _size(Path(path)) for path in paths}
    started = time.perf_counter()
    found = narhash.hash_paths({path: Path(path) for path in paths}, sizes)
    ours = time.perf_counter() - started
    started = time.perf_counter()
    for path in paths:
        for file in _files(Path(path)):
            with file.open("rb", buffering=0) as opened:
                hashlib.file_digest(opened, "sha256")
    one = time.perf_counter() - started
    print(json.dumps({"ours": ours, "one": one, "size": sum(size for _, size in found.values())}))
    return 0


def _files(path: Path) -> list[Path]:
    if path.is_file() and not path.is_symlink():
        return [path]
    command = ["find", str(path), "-type", "f", "-print0"]
    named = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    return [Path(os.fsdecode(name)) for name in named.split(b"\0") if name]


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in _files(path))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
