"""Several who append at once, with a lock between them and without one, some of which die on the way."""

from __future__ import annotations

import multiprocessing
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logs import SIGNER, VERIFIER, CrashError, Memory, Watched, append, crashing, entries, entry, filled, opened
from support.waiting import PATIENCE

from nixgen.cache.entry import Entry, read
from nixgen.log.checkpoint import Checkpoint
from nixgen.log.log import Log
from nixgen.log.stores.folder import Folder


@pytest.mark.heavy
def test_two_processes_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_append_some, args=(tmp_path, index * 1000, 12)) for index in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    found = list(read(Log.open(Folder(tmp_path), VERIFIER)))
    expected = [entry(index * 1000 + number) for index in range(3) for number in range(12 * 7)]
    assert len(found) == len(expected)
    assert set(found) == set(expected)


def _append_some(folder: Path, first: int, times: int) -> None:
    log = Log.open(Folder(folder), VERIFIER)
    for turn in range(times):
        start = first + turn * 7
        append(log, entries(start, start + 7), SIGNER)


class Scheduler:
    """Lets one of several threads do one operation of its store at a time, in an order that a seed gives."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._steady = self._random.choice((0.0, 0.6, 0.95))  # how likely one goes on: others stand still for long
        self._last = -1
        self._turn = threading.Condition()
        self._waiting: dict[int, bool] = {}
        self._running = 0

    def run(self, tasks: list[Callable[[Callable[[str, str], None]], None]]) -> None:
        self._running = len(tasks)
        threads = [threading.Thread(target=self._task, args=(number, task)) for number, task in enumerate(tasks)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def _task(self, number: int, task: Callable[[Callable[[str, str], None]], None]) -> None:
        try:
            task(lambda _what, _name: self._wait(number))
        finally:
            with self._turn:
                self._running -= 1
                self._choose()

    def _wait(self, number: int) -> None:
        with self._turn:
            self._waiting[number] = False
            self._choose()
            while not self._waiting[number]:
                self._turn.wait()
            del self._waiting[number]

    def _choose(self) -> None:
        """Once everybody waits, one may go on."""
        if self._waiting and len(self._waiting) == self._running and not any(self._waiting.values()):
            if self._last not in self._waiting or self._random.random() >= self._steady:
                self._last = self._random.choice(sorted(self._waiting))
            self._waiting[self._last] = True
            self._turn.notify_all()


@settings(max_examples=min(60, settings().max_examples))
@given(
    seed=st.integers(0, 1 << 32),
    start=st.sampled_from((0, 3, 250)),
    sizes=st.lists(st.sampled_from((1, 5, 130)), min_size=2, max_size=4),
    crashes=st.lists(st.integers(1, 14), max_size=2),
)
def test_any_order_of_operations(seed: int, start: int, sizes: list[int], crashes: list[int]) -> None:
    """Writers without a lock between them, their operations in any order, some of which die on the way."""
    shared = filled(start) if start else Memory()
    seen: list[bytes] = [shared.files["checkpoint"]] if start else []
    acknowledged: list[Entry] = []
    failures: list[BaseException] = []

    def writer(number: int, size: int) -> Callable[[Callable[[str, str], None]], None]:
        dies = crashing(crashes[number]) if number < len(crashes) else lambda _what, _name: None

        def task(wait: Callable[[str, str], None]) -> None:
            store = Watched(shared, seen)

            def before(what: str, name: str) -> None:
                wait(what, name)
                dies(what, name)

            store.before = before
            try:
                for turn in range(2):
                    first = 1000 * (number + 1) + turn * size
                    wanted = [*entries(first, first + size), entry(77_777)]
                    done = append(opened(store), wanted, SIGNER)
                    acknowledged.extend([*entries(first, first + size), entry(77_777)])
                    assert not done.conflicts
            except CrashError:
                pass
            except BaseException as error:  # noqa: BLE001 -- told by the main thread
                failures.append(error)

        return task

    Scheduler(seed).run([writer(number, size) for number, size in enumerate(sizes)])
    if failures:
        raise failures[0]
    append(opened(shared), [entry(99_999)], SIGNER)
    log = opened(shared)
    said = list(read(log))
    assert len(said) == len(set(said)) == log.size
    assert set(acknowledged) <= set(said)
    assert said[:start] == entries(0, start)
    for note in seen:
        log.check(Checkpoint.opened(note, VERIFIER))
    assert [Checkpoint.unverified(note).size for note in seen] == sorted(
        Checkpoint.unverified(note).size for note in seen
    )
