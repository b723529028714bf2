"""The terminal: messages and progress on stderr, results on stdout, colours only where a person looks.

Much of what is printed comes from outside: names in TOML, files of a server, what a builder said. It is made visible
here, once: no character of it moves the cursor or changes a colour, and no line of it looks like one of nixgen's own.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TextIO

from nixgen.errors import NixgenError

_KIB = 1024
_TWO_DIGITS = 10  # from here on, a size needs no decimal
# Control characters, but line ends and tabs; marks that turn the direction of a text; what is no text at all.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_OURS = re.compile(r"(?<=\n)(?=(?:error|warning|hint|interrupted)\b)")
_COMMAND = re.compile(r"(?:(?<=\n)|\A)([ \t]*)(?=::|##\[)")  # a line that GitHub's runner takes for an order
_PATIENCE = 1.0  # seconds before a step is announced: what is over sooner needs no announcement


class ReaderGoneError(BrokenPipeError):
    """Nobody reads what is printed any more (`nixgen show | head`)."""


class Console:
    """Where messages go. ``quiet`` drops all but warnings and errors; ``verbose`` adds the commands that are run."""

    def __init__(self) -> None:
        self.quiet = False
        self.verbose = False

    def info(self, text: str) -> None:
        """A message for people, on stderr; silent with --quiet."""
        if not self.quiet:
            _put(sys.stderr, _COMMAND.sub(r"\1> ", _OURS.sub("  ", visible(text))))

    def detail(self, text: str) -> None:
        """What only --verbose shows."""
        if self.verbose:
            _put(sys.stderr, self._paint(visible(text), "2"))

    def warn(self, text: str) -> None:
        """Something that a person should know and nixgen goes on after."""
        _put(sys.stderr, f"{self._paint('warning:', '33')} {_indented(visible(text))}")

    def error(self, error: NixgenError) -> None:
        """Every problem of an error, each with what mends it."""
        for problem in error.problems:
            where = visible(problem.where).replace("\n", "\\n")
            text = str(replace(problem, where=where, what=visible(problem.what), mend=visible(problem.mend)))
            _put(sys.stderr, f"{self._paint('error:', '31;1')} {_indented(text)}")

    def interrupted(self, left: str) -> None:
        """The last line after Ctrl-C: ``left`` says what became of the work, where that is known."""
        line = f"interrupted; {left}" if left else "interrupted"
        _put(
            sys.stderr, f"\n{line}" if sys.stderr is not None and sys.stderr.isatty() else line
        )  # behind the terminal's ^C

    def result(self, text: str) -> None:
        """What was asked for, on stdout."""
        _put(sys.stdout, visible(text))

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

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if sys.stderr is not None and coloured(sys.stderr) else text


class Line:
    """One line of a terminal on stderr, written over and over; ``shown`` says whether there is a terminal."""

    def __init__(self) -> None:
        self.shown = sys.stderr is not None and sys.stderr.isatty()
        self._width = 0

    def write(self, text: str) -> None:
        """Shows another text in the place of the last one; an empty one leaves nothing there."""
        if not self.shown or not (text or self._width):
            return
        import shutil  # takes as long as all else here

        text, columns = visible(text).replace("\n", " "), shutil.get_terminal_size().columns
        text = text if len(text) < columns else text[: columns - 2] + "…"
        _put(sys.stderr, "\r" + text.ljust(self._width) + ("" if text else "\r"), end="")
        self._width = len(text)

    def end(self) -> None:
        """Leaves the last text there, and goes on in the next line."""
        if self._width:
            _put(sys.stderr, "")
            self._width = 0


def visible(text: str) -> str:
    """A text of which every character is seen: others are escaped as JSON does it, so that JSON stays what it says."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _indented(text: str) -> str:
    """A message of several lines: only its first begins where messages begin."""
    return _COMMAND.sub(r"\1> ", re.sub(r"\n(?=\S)", "\n    ", text))


def _put(stream: TextIO | None, text: str, end: str = "\n") -> None:
    if stream is not None:  # the caller closed it: nobody wants to know
        try:
            stream.write(text + end)
            stream.flush()
        except BrokenPipeError:
            raise ReaderGoneError from None


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
