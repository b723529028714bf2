"""The terminal: messages and progress on stderr, results on stdout, colours only where a person looks.

Much of what is printed comes from outside: names in TOML, files of a server, what a builder said. It is made visible
here, once: no character of it moves the cursor or changes a colour, and no line of it looks like one of nixgen's own.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import TextIO

from nixgen.errors import NixgenError

_KIB = 1024
_TWO_DIGITS = 10  # from here on, a size needs no decimal
# Control characters, but line ends and tabs; marks that turn the direction of a text; what is no text at all.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_OURS = r"(?<=\n)(?=(?:error|warning|hint|interrupted)\b)"
_COMMAND = r"(?:(?<=\n)|\A)([ \t]*)(?=::|##\[)"  # a line that GitHub's runner takes for an order
_PATIENCE = 1.0  # seconds before a step is announced: what is over sooner needs no announcement


_COLOURS = {"bad": "31", "note": "33", "head": "1", "dim": "2"}
_NARROWEST = 8  # characters that a column keeps


class ReaderGoneError(BrokenPipeError):
    """Nobody reads what is printed any more (`nixgen show | head`)."""


class Console:
    """Where messages go. ``quiet`` drops all but warnings and errors; ``verbose`` adds the commands that are run."""

    def __init__(self) -> None:
        self.quiet = False
        self.verbose = False
        self._steps = 0  # that are going on, in all threads

    def info(self, text: str) -> None:
        """A message for people, on stderr; silent with --quiet."""
        if not self.quiet:
            _put(sys.stderr, re.sub(_COMMAND, r"\1> ", re.sub(_OURS, "  ", visible(text))))

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

    def results(self, lines: Iterable[tuple[str, str]]) -> None:
        """Lines on stdout, each with the name of its colour, "" for none; only a terminal shows it."""
        shown = sys.stdout is not None and coloured(sys.stdout)
        texts = ((visible(text), _COLOURS.get(style, "") if shown else "") for style, text in lines)
        _put(sys.stdout, "\n".join(f"\x1b[{code}m{text}\x1b[0m" if code else text for text, code in texts))

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Says what is going on when it takes over a second: "resolving …". Silent with --quiet."""
        timer = threading.Timer(_PATIENCE, self.info, [f"{text} …"])
        timer.daemon = True
        if not self.quiet:
            timer.start()
        self._steps += 1
        try:
            yield
        finally:
            self._steps -= 1
            timer.cancel()

    def waiting(self, program: str) -> AbstractContextManager[None]:
        """Says on a terminal that a program takes over a second, where no step says what is going on."""
        if self._steps or sys.stderr is None or not sys.stderr.isatty():
            return nullcontext()
        return self.step(f"Waiting for {program}")

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
    return re.sub(_COMMAND, r"\1> ", re.sub(r"\n(?=\S)", "\n    ", text))


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


def table(
    rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset(), indent: str = "  ", width: int | None = None
) -> list[str]:
    """Rows as lines with aligned columns, two blanks apart; the columns in ``right`` end at the same place.

    Where a line would have more than ``width`` characters, the widest columns are cut.
    """
    if not rows:
        return []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    over = len(indent) + sum(widths) + 2 * (len(widths) - 1) - (width or sys.maxsize)
    while over > 0 and (widest := max(widths)) > _NARROWEST:
        at = widths.index(widest)
        below = max((other for other in widths if other < widest), default=_NARROWEST)
        less = min(over, max(widest - max(below, _NARROWEST), 1))
        widths[at], over = widest - less, over - less
    return [
        indent
        + "  ".join(
            _cut(cell, widths[column]).rjust(widths[column])
            if column in right
            else _cut(cell, widths[column]).ljust(widths[column])
            for column, cell in enumerate(row)
        ).rstrip()
        for row in rows
    ]


def _cut(cell: str, width: int) -> str:
    return cell if len(cell) <= width else cell[: width - 1] + "…"


def width() -> int | None:
    """How many characters a line of stdout has room for, None where no terminal cuts it."""
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    import shutil

    return shutil.get_terminal_size().columns


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
