"""The hashes of many paths, in this process and in several."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.nix import ROOT

from nixgen.errors import MachineError, UserError
from nixgen.nix import hashing, nar


@pytest.fixture
def trees(tmp_path: Path) -> dict[str, Path]:
    found = {}
    for number in range(20):
        folder = tmp_path / f"tree {number}\nü"
        folder.mkdir()
        (folder / "file").write_bytes(bytes([number]) * number * 1000)
        (folder / "link").symlink_to("file")
        found[str(number)] = folder
    found["file"] = tmp_path / "alone"
    found["file"].write_text("alone\n")
    return found


def sizes(trees: dict[str, Path]) -> dict[str, int]:
    return {key: nar.hash_and_size(path)[1] for key, path in trees.items()}


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even small paths are hashed by other processes."""
    monkeypatch.setattr(hashing, "_ALONE", 0)


@pytest.mark.usefixtures("apart")
def test_alone_and_in_several_processes_they_are_the_same(trees: dict[str, Path]) -> None:
    wanted = {key: nar.hash_and_size(path) for key, path in trees.items()}
    assert hashing.hash_paths(trees, sizes(trees), cores=1) == wanted
    found = hashing.hash_paths(trees, sizes(trees), cores=3)
    assert found == wanted
    assert list(found) == list(trees)


@pytest.mark.usefixtures("apart")
def test_progress_ends_at_the_sum(trees: dict[str, Path]) -> None:
    for cores in (1, 2):
        seen: list[tuple[int, int]] = []
        hashing.hash_paths(trees, sizes(trees), lambda done, total: seen.append((done, total)), cores=cores)  # noqa: B023
        total = sum(sizes(trees).values())
        assert seen[-1] == (total, total)
        assert sorted(seen) == seen
        assert len(seen) == len(trees)


def test_the_largest_comes_first(trees: dict[str, Path]) -> None:
    seen: list[int] = []
    hashing.hash_paths(trees, sizes(trees), lambda done, _total: seen.append(done), cores=1)
    steps = [after - before for before, after in zip([0, *seen], seen, strict=False)]
    assert steps == sorted(steps, reverse=True)


def test_nothing_is_nothing() -> None:
    assert hashing.hash_paths({}, {}) == {}


@pytest.mark.usefixtures("apart")
@pytest.mark.parametrize("cores", [1, 2])
def test_what_is_not_there_is_left_out(trees: dict[str, Path], tmp_path: Path, cores: int) -> None:
    trees["gone"] = tmp_path / "gone"
    assert hashing.hash_paths(trees, {"gone": 5, "0": 5}, cores=cores).keys() == trees.keys() - {"gone"}
    (tmp_path / "gone").symlink_to("nowhere")
    assert "gone" in hashing.hash_paths(trees, {"gone": 5, "0": 5}, cores=cores)


@pytest.mark.usefixtures("apart")
@pytest.mark.parametrize("cores", [1, 2])
def test_what_no_store_can_hold_is_named(trees: dict[str, Path], cores: int) -> None:
    os.mkfifo(trees["3"] / "pipe")
    with pytest.raises(UserError, match=r"/pipe: is neither a file, a folder nor a link"):
        hashing.hash_paths(trees, {"3": 1, "4": 1}, cores=cores)


@pytest.mark.usefixtures("apart")
def test_a_process_that_is_ended_is_told(trees: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "_START", "import sys; sys.stdin.readline()")
    with pytest.raises(MachineError, match="the process that hashed it was ended"):
        hashing.hash_paths(trees, {"3": 1, "4": 1}, cores=2)


def test_an_interrupt_ends_the_processes_too() -> None:
    code = (
        "import sys; from pathlib import Path; from nixgen.nix import hashing as narhash, nar\n"
        "narhash._ALONE = 0\n"
        "narhash._START = 'import sys, time; sys.stdin.readline(); sys.stderr.write(chr(10)); time.sleep(3600)'\n"
        "try:\n    narhash.hash_paths({'a': Path('/'), 'b': Path('/')}, {'a': 1, 'b': 1}, cores=2)\n"
        "except KeyboardInterrupt:\n    sys.exit(130)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stderr is not None
    # Each says that it was asked for something, which all are once all have started.
    assert [process.stderr.readline() for _ in range(2)] == ["\n", "\n"]
    started = workers(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate()
    assert (process.returncode, err, len(started)) == (130, "", 2)
    assert not any(Path(f"/proc/{pid}").exists() for pid in started)


def workers(parent: int) -> list[int]:
    """The processes that this one started and that have not ended."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            state, above = place.read_text().rpartition(")")[2].split()[:2]
            if int(above) == parent and state != "Z":
                found.append(int(place.parent.name))
    return found
