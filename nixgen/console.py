"""The terminal: messages and progress on stderr, results on stdout, colours only where a person looks."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from nixgen.errors import NixgenError

_KIB = 1024
_TWO_DIGITS = 10  # from here on, a size needs no decimal
_PATIENCE = 1.0  # seconds before a step is announced: what is over sooner needs no announcement


class Console:
    """Where messages go. ``quiet`` drops all but warnings and errors; ``verbose`` adds the commands that are run."""

    def __init__(self) -> None:
        self.quiet = False
        self.verbose = False

    def info(self, text: str) -> None:
        """A message for people, on stderr; silent with --quiet."""
        if not self.quiet:
            self._write(text)

    def detail(self, text: str) -> None:
        """What only --verbose shows."""
        if self.verbose:
            self._write(self._paint(text, "2"))

    def warn(self, text: str) -> None:
        """Something that a person should know and nixgen goes on after."""
        self._write(f"{self._paint('warning:', '33')} {text}")

    def error(self, error: NixgenError) -> None:
        """Every problem of an error, each with what mends it."""
        for problem in error.problems:
            self._write(f"{self._paint('error:', '31;1')} {problem}")

    def interrupted(self, left: str) -> None:
        """The last line after Ctrl-C: ``left`` says what became of the work, where that is known."""
        line = f"interrupted; {left}" if left else "interrupted"
        self._write(f"\n{line}" if sys.stderr is not None and sys.stderr.isatty() else line)  # behind the terminal's ^C

    def result(self, text: str) -> None:
        """What was asked for, on stdout."""
        if sys.stdout is not None:  # the caller closed it: nobody wants to know
            sys.stdout.write(text + "\n")
            sys.stdout.flush()

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Says what is going on when it takes over a second: "resolving …". Silent with --quiet."""
        timer = threading.Timer(_PATIENCE, self.info, [f"{text} …"])
        timer.daemon = True
        if not self.quiet:
            timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _write(self, text: str) -> None:
        if sys.stderr is not None:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if sys.stderr is not None and coloured(sys.stderr) else text


def coloured(stream: TextIO) -> bool:
    """Whether to colour: a terminal, TERM not dumb, NO_COLOR (https://no-color.org) empty or unset."""
    return stream.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")


def table(rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset(), indent: str = "  ") -> list[str]:
    """Rows as lines with aligned columns, two blanks apart; the columns in ``right`` end at the same place."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        indent
        + "  ".join(
            cell.rjust(widths[column]) if column in right else cell.ljust(widths[column])
            for column, cell in enumerate(row)
        ).rstrip()
        for row in rows
    ]


def size(count: int | None) -> str:
    """Bytes for people, in binary units: 512 B, 1.5 KiB, 39 MiB; "?" when not known."""
    if count is None:
        return "?"
    if count < _KIB:
        return f"{count} B"
    value = float(count)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        value /= _KIB
        if round(value) < _KIB or unit == "TiB":
            break
    return f"{value:.{1 if round(value, 1) < _TWO_DIGITS else 0}f} {unit}"


console = Console()
"""The one console of the process; the command line sets its ``quiet`` and ``verbose``."""

info, detail, warn, step, result = console.info, console.detail, console.warn, console.step, console.result
