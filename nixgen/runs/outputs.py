"""What came out of a run: files with their hashes, and whether it was this run that wrote them."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from nixgen.guard.hashing import processors
from nixgen.runs.model import Output

_CHUNK = 1 << 20

State = tuple[int, ...] | None
"""What tells that a file was written to since; None where there is none."""


@dataclass(frozen=True, slots=True)
class Collected:
    """The files that came out, sorted as they were asked for and then by path; and, in sentences, what did not."""

    outputs: tuple[Output, ...] = ()
    lacks: tuple[str, ...] = ()


def state(path: Path) -> dict[str, State]:
    """What the files of an output are like, to be compared with later. No clock that jumps has a part in it."""
    found: dict[str, State] = {}
    for place in _below(path):
        try:
            seen = place.stat()
        except OSError:
            found[str(place)] = None
        else:
            found[str(place)] = (seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
    return found


def collect(paths: Iterable[Path], before: dict[Path, dict[str, State]], cores: int | None = None) -> Collected:
    """Hashes the files of outputs, all cores at work; ``before`` is their state before the run."""
    lacks: list[str] = []
    places: list[Path] = []
    for path in dict.fromkeys(paths):
        own = list(_below(path))
        if not own:
            lacks.append(f"{path}: the command did not make it")
        elif path in before and before[path] == state(path):
            lacks.append(f"{path}: it was there before, and the command did not write it")
        places += own
    hashed = _Hashing(list(dict.fromkeys(places)))
    hashed.run(cores or processors())
    lacks += [f"{place}: {why}" for place, why in sorted(hashed.failed.items())]
    return Collected(tuple(hashed.found[place] for place in hashed.places if place in hashed.found), tuple(lacks))


def hashed(places: Iterable[Path]) -> tuple[dict[Path, Output], dict[Path, str]]:
    """The files of these paths, hashed by all cores; and, by path, why others could not be read."""
    work = _Hashing(list(dict.fromkeys(places)))
    work.run(processors())
    return work.found, work.failed


def _below(path: Path) -> Iterator[Path]:
    """A file, or all files below a folder, sorted. Links to folders are not followed."""
    if not path.is_dir():
        if os.path.lexists(path):
            yield path
        return
    for folder, folders, names in os.walk(path):
        folders.sort()
        links = [name for name in folders if Path(folder, name).is_symlink()]
        yield from (Path(folder, name) for name in sorted([*names, *links]))


class _Hashing:
    """Hashes files side by side: hashlib and reads leave Python's lock. The largest come first."""

    def __init__(self, places: Sequence[Path]) -> None:
        self.places = places
        self.found: dict[Path, Output] = {}
        self.failed: dict[Path, str] = {}
        self._left: SimpleQueue[Path] = SimpleQueue()
        for place in sorted(places, key=_size, reverse=True):
            self._left.put(place)
        self._stopped = False

    def run(self, workers: int) -> None:
        """Hashes all of them; Ctrl-C ends it."""
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(min(workers, len(self.places)))]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            self._stopped = True

    def _work(self) -> None:
        buffer = memoryview(bytearray(_CHUNK))
        while not self._stopped:
            try:
                place = self._left.get_nowait()
            except Empty:
                return
            try:
                self.found[place] = self._hashed(place, buffer)
            except (OSError, ValueError) as error:  # a path with a NUL byte
                self.failed[place] = getattr(error, "strerror", None) or str(error)

    def _hashed(self, place: Path, buffer: memoryview) -> Output:
        descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(0, "it is not a file")
            digest, size = hashlib.sha256(), 0
            while not self._stopped and (count := os.readv(descriptor, [buffer])):
                digest.update(buffer[:count])
                size += count
        finally:
            os.close(descriptor)
        return Output(place.as_posix(), size, digest.hexdigest())


def _size(place: Path) -> int:
    try:
        return place.stat().st_size
    except (OSError, ValueError):
        return 0
