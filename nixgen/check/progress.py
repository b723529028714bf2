"""How far a count is: on a terminal one line, written over and over; elsewhere a line every ten seconds."""

from __future__ import annotations

import sys
import time

from nixgen.console import console

_EVERY = 10.0  # seconds between two lines where nobody writes over them


class Counter:
    """Shows "VERB 3 of 113: NAME" on stderr; nothing with --quiet. Called from one thread."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._shown = time.monotonic()
        self._width = 0

    def __call__(self, done: int, total: int, name: str) -> None:
        """So many of all are done; ``name`` was the last."""
        text = f"{self._verb} {done} of {total}: {name}"
        if console.quiet:
            return
        if self._terminal:
            end = "\n" if done == total else ""
            sys.stderr.write(f"\r{text.ljust(self._width)}{end}")
            sys.stderr.flush()
            self._width = len(text)
        elif time.monotonic() - self._shown >= _EVERY:
            self._shown = time.monotonic()
            console.info(text)
