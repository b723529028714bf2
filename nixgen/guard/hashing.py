"""The bytes of the files that are there beside the pinned hashes."""

from __future__ import annotations

import hashlib
import os
import stat as modes
import threading
from collections.abc import Callable, Iterable, Sequence

from .report import Found
from .scan import Entry, identity, kind_of, why
from .writeback import Writeback

_CHUNK = 1 << 20


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


class Pool:
    """Hashes files side by side: hashlib and reads leave Python's lock, so threads use all processors.

    Each file is hashed once, however many paths lead to it, and the largest first. ``hashed`` counts bytes;
    ``identities`` holds what identifies each file that is the pinned one. With ``writeback`` files are written back
    before they are hashed; ``unsettled`` says why an identity may stay when its file is written to.
    """

    def __init__(self, entries: Sequence[Entry], writeback: Writeback | None = None) -> None:
        by_target: dict[str, list[Entry]] = {}
        for entry in entries:
            by_target.setdefault(entry.target, []).append(entry)
        self.hashed = 0
        self.findings: list[Found] = []
        self.identities: dict[tuple[str, str], tuple[int, ...]] = {}
        self.unsettled = ""
        self._writeback = writeback
        self._queue = sorted(by_target.values(), key=lambda group: group[0].file.size)
        self._failures: list[BaseException] = []
        self._lock = threading.Lock()

    def run(self, workers: int) -> None:
        """Hashes all of them; raises what a thread raised."""
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(min(workers, len(self._queue)) - 1)]
        for thread in threads:
            thread.start()
        self._work()
        for thread in threads:
            thread.join()
        if self._failures:
            raise self._failures[0]

    def _work(self) -> None:
        buffer = memoryview(bytearray(_CHUNK))
        try:
            while not self._failures:
                with self._lock:
                    if not self._queue:
                        return
                    group = self._queue.pop()
                count, outcomes = _hash_one(group, buffer, self._settle)
                with self._lock:
                    self._keep(count, zip(group, outcomes, strict=True))
        except BaseException as error:  # noqa: BLE001 - raised again by run()
            self._failures.append(error)

    def _settle(self, descriptor: int) -> None:
        if self._writeback is not None and (problem := self._writeback.problem(descriptor)):
            self.unsettled = problem

    def _keep(self, count: int, outcomes: Iterable[tuple[Entry, Found | tuple[int, ...]]]) -> None:
        self.hashed += count
        for entry, outcome in outcomes:
            if isinstance(outcome, Found):
                self.findings.append(outcome)
            else:
                self.identities[entry.tree.folder, entry.file.path] = outcome


def _hash_one(
    group: Sequence[Entry], buffer: memoryview, settle: Callable[[int], None]
) -> tuple[int, list[Found | tuple[int, ...]]]:
    """Opens one file once, hashes what that descriptor gives, and judges every path that leads to it.

    Gives the number of bytes that were hashed, and for each path a finding or what identifies the file. ``settle``
    gets the descriptor before it is looked at.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    digest, count = "", 0
    try:
        descriptor = os.open(group[0].target, flags)
        try:
            settle(descriptor)
            there = os.fstat(descriptor)
            if modes.S_ISREG(there.st_mode) and any(entry.file.size == there.st_size for entry in group):
                digest, count = _digest(descriptor, there.st_size, buffer)
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        return count, [_judge(entry, there, after, digest, count) for entry in group]
    except OSError as error:
        return count, [Found(entry.tree.name, entry.file.path, "unreadable", why(error)) for entry in group]


def _digest(descriptor: int, size: int, buffer: memoryview) -> tuple[str, int]:
    """The SHA-256 and the number of bytes up to the file's end, but not much more than ``size``."""
    digest, count = hashlib.sha256(), 0
    while count <= size and (got := os.readv(descriptor, [buffer])):
        digest.update(buffer[:got])
        count += got
    return digest.hexdigest(), count


def _judge(
    entry: Entry, there: os.stat_result, after: os.stat_result, digest: str, count: int
) -> Found | tuple[int, ...]:
    """Whether an entry is the pinned file, and its path still leads to the one that was hashed."""
    name, path, file = entry.tree.name, entry.file.path, entry.file
    if not modes.S_ISREG(there.st_mode):
        return Found(name, path, "kind", f"is {kind_of(there.st_mode)}, not a file")
    if there.st_size != file.size:
        said = f"is changed: {there.st_size} bytes, not {file.size}"
        return Found(name, path, "changed", said, f"{file.size} bytes", f"{there.st_size} bytes")
    if count != file.size or not identity(there) == identity(after) == identity(os.stat(entry.path)):
        return Found(name, path, "unstable", "changes while it is read")
    if digest != file.sha256:
        said = f"is changed: SHA-256 {digest}, not {file.sha256}"
        return Found(name, path, "changed", said, file.sha256, digest)
    return identity(after)
