"""The NAR hashes of many store paths, read from the disk by all cores.

Each core has a process of its own, a plain Python that hashes what it is given; processes that are forked would copy
the threads' locks of this one. The largest paths come first, so that at the end no core waits long for another.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue

from nixgen.errors import MachineError, NixgenError, UserError
from nixgen.nix import nar

_ALONE = 32 << 20  # bytes that are hashed before another process has started
_ROOT = Path(__file__).resolve().parents[2]
# Neither the user's environment nor site-packages: only this package is needed.
_START = "import sys; sys.path.append(sys.argv[1]); from nixgen.nix.hashing import work; work()"

Progress = Callable[[int, int], object]


def hash_paths(
    paths: Mapping[str, Path], sizes: Mapping[str, int], progress: Progress | None = None, cores: int | None = None
) -> dict[str, tuple[str, int]]:
    """The NAR hash (SRI) and the NAR's size of each path: key → place on the disk, in; key → both, out.

    A path that is not there is left out. ``sizes`` (bytes, as far as known) tell which to begin with; ``progress`` is
    called with bytes done and bytes in all. Raises MachineError for what cannot be read and UserError for what a NAR
    cannot hold, naming it.
    """
    order = sorted(paths, key=lambda key: (-sizes.get(key, 0), key))
    total = sum(sizes.get(key, 0) for key in order)
    count = min(cores or available_cores(), len(order))
    team = _Team(paths, sizes, order, lambda done: progress(done, total) if progress is not None else None)
    if count <= 1 or total <= _ALONE:
        team.hash_here()
    else:
        team.hash_apart(count)
    return {key: team.found[key] for key in paths if key in team.found}


class _Team:
    """The paths that are left to hash, and what was found."""

    def __init__(
        self,
        paths: Mapping[str, Path],
        sizes: Mapping[str, int],
        order: list[str],
        progress: Callable[[int], object],
    ) -> None:
        self._paths, self._sizes, self._progress = paths, sizes, progress
        self._left: SimpleQueue[str] = SimpleQueue()
        for key in order:
            self._left.put(key)
        self.found: dict[str, tuple[str, int]] = {}
        self._errors: list[NixgenError] = []
        self._done = 0
        self._guard = threading.Lock()

    def hash_here(self) -> None:
        """All in this process."""
        while (key := self._next()) is not None:
            self._note(key, _hashed(self._paths[key]))

    def hash_apart(self, count: int) -> None:
        """In so many processes, each with a thread that hands it one path after another."""
        command = [sys.executable, "-I", "-S", "-c", _START, str(_ROOT)]
        workers: list[subprocess.Popen[bytes]] = []
        try:
            for _ in range(count):
                workers.append(_started(command))  # noqa: PERF401 -- those that were started are ended, whatever comes
            threads = [threading.Thread(target=self._serve, args=(worker,), daemon=True) for worker in workers]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            for worker in workers:
                worker.kill()
                worker.communicate()
        if self._errors:
            raise self._errors[0]

    def _serve(self, worker: subprocess.Popen[bytes]) -> None:
        assert worker.stdin is not None  # noqa: S101 -- pipes were asked for
        assert worker.stdout is not None  # noqa: S101 -- the same
        while not self._errors and (key := self._next()) is not None:
            try:
                worker.stdin.write(json.dumps(os.fspath(self._paths[key])).encode() + b"\n")
                worker.stdin.flush()
                answer = json.loads(worker.stdout.readline())
            except (OSError, ValueError):
                self._errors.append(MachineError.of(str(self._paths[key]), "the process that hashed it was ended"))
                return
            if error := answer.get("error"):
                kind = UserError if error[0] == UserError.__name__ else MachineError
                self._errors.append(kind.of(*error[1:]))
                return
            self._note(key, tuple(answer["found"]) if answer["found"] else None)

    def _next(self) -> str | None:
        try:
            return self._left.get_nowait()
        except Empty:
            return None

    def _note(self, key: str, found: tuple[str, int] | None) -> None:
        with self._guard:
            if found is not None:
                self.found[key] = found
            self._done += self._sizes.get(key, 0)
            self._progress(self._done)


def _started(command: list[str]) -> subprocess.Popen[bytes]:
    try:
        # In a group of its own: a terminal's Ctrl-C is for this process, which ends it.
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0)
    except OSError as error:
        raise MachineError.of(sys.executable, f"cannot be run: {error.strerror}") from None


def work() -> None:
    """What one of the processes does: a path as JSON in each line of stdin, an answer in each line of stdout."""
    for line in sys.stdin.buffer:
        try:
            answer: dict[str, object] = {"found": _hashed(Path(json.loads(line)))}
        except NixgenError as error:
            problem = error.problems[0]
            answer = {"error": [type(error).__name__, problem.where, problem.what, problem.mend]}
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()


def _hashed(place: Path) -> tuple[str, int] | None:
    return nar.hash_and_size(place) if os.path.lexists(place) else None


def available_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
