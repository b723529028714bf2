"""How far a count is: on a terminal one line, written over and over; elsewhere a line every ten seconds."""

from __future__ import annotations

import time

from nixgen.console import Line, console

_EVERY = 10.0  # seconds between two lines where nobody writes over them


class Counter:
    """Shows "VERB 3 of 113: NAME" on stderr; nothing with --quiet. Called from one thread."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._line = Line()
        self._shown = time.monotonic()

    def __call__(self, done: int, total: int, name: str) -> None:
        """So many of all are done; ``name`` was the last."""
        text = f"{self._verb} {done} of {total}: {name}"
        if console.quiet:
            return
        if self._line.shown:
            self._line.write(text)
            if done == total:
                self._line.end()
        elif time.monotonic() - self._shown >= _EVERY:
            self._shown = time.monotonic()
            console.info(text)
