"""How far a download is: one line on a terminal, written over and over; elsewhere only that it goes on."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from nixgen.console import Line, console, size

_EVERY = 0.2  # seconds between two lines on a terminal
_PATIENCE = 1.0  # seconds before anything is shown


class Progress:
    """Counts files and bytes from any thread. Shows nothing with --quiet or for what is over within a second."""

    def __init__(self, title: str, files: int, total: int | None) -> None:
        self._title, self._files, self._total = title, files, total
        self._done = self._bytes = 0
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._shown = self._started + _PATIENCE
        self._line = Line()
        self._announced = False

    def bytes(self, count: int) -> None:
        """So many bytes more are there; less than nothing when a file starts anew."""
        with self._lock:
            self._bytes += count
            now = time.monotonic()
            if console.quiet or now < self._shown:
                return
            self._shown = now + _EVERY
            if self._line.shown:
                self._line.write(self.line(now))
            elif not self._announced:
                self._announced = True
                console.info(f"{self._title}: downloading {self._amount()} …")

    def file(self) -> None:
        """One file more is whole."""
        with self._lock:
            self._done += 1

    def line(self, now: float) -> str:
        """What the terminal shows: "models.minilm: 3 of 12 files, 1.2 GiB of 4.5 GiB, 80 MiB/s"."""
        seconds = max(now - self._started, 0.001)
        amount = size(self._bytes) if self._total is None else f"{size(self._bytes)} of {size(self._total)}"
        return f"{self._title}: {self._done} of {self._files} files, {amount}, {size(int(self._bytes / seconds))}/s"

    def _amount(self) -> str:
        files = "1 file" if self._files == 1 else f"{self._files} files"
        return files if self._total is None else f"{files}, {size(self._total)}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.write("")
