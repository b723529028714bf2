"""How a build goes, for people: one line on a terminal, written over and over; elsewhere a line every ten seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from nixgen.console import Line, console, size
from nixgen.nix.log import State

_EVERY = 0.1  # seconds between two lines on a terminal
_SELDOM = 10.0  # the same where lines stay
_PATIENCE = 1.0  # seconds before anything is shown
_HASH = 33  # letters of a store path's hash and its hyphen
_NAMES = 3  # how many derivations are named at most
# What is built by fetching it.
_FILES = (".whl", ".deb", ".gz", ".xz", ".bz2", ".zst", ".zip", ".crate", ".safetensors", ".onnx", ".parquet")


class Shown:
    """Shows the states that it is called with. Nothing is shown with --quiet, or of what is over within a second."""

    def __init__(self, title: str, *, now: Callable[[], float] = time.monotonic) -> None:
        self._title, self._now = title, now
        self._line = Line()
        self._next = now() + (_PATIENCE if self._line.shown else _SELDOM)
        self._lock = threading.Lock()

    def __call__(self, state: State) -> None:
        """Shows it, if the last one was shown long enough ago; the last of all clears the terminal's line."""
        with self._lock:
            if state.ended:
                self._line.write("")
            elif not console.quiet and self._now() >= self._next:
                self._next = self._now() + (_EVERY if self._line.shown else _SELDOM)
                text = line(self._title, state)
                if self._line.shown:
                    self._line.write(text)
                else:
                    console.info(text)


def shown(title: str) -> Shown:
    """The progress of a step with this name ("building")."""
    return Shown(title)


def line(title: str, state: State) -> str:
    """One line: "building 3 of 120: numpy-2.4.6; downloading 2 of 5: six-1.17.0-py3-none-any.whl, 12 MiB of 80 MiB"."""
    names = [_name(drv) for drv in state.running]
    files = [name for name in names if name.endswith(_FILES)]
    parts = [_part(title, state.built, state.to_build, [name for name in names if name not in files])]
    size_told = f"{size(state.done_bytes)} of {size(state.expected_bytes)}" if state.expected_bytes else ""
    told = filter(None, (_part("downloading", state.fetched, state.to_fetch, files), size_told))
    return "; ".join(filter(None, [*parts, ", ".join(told)])) or f"{title}: under way"


def _part(verb: str, done: int, count: int, names: Sequence[str]) -> str:
    if not count and not names:
        return ""
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    counted = f"{verb} {done} of {count}" if count else verb
    return ": ".join(filter(None, (counted, ", ".join(names[:_NAMES]) + more)))


def _name(drv: str) -> str:
    return drv.rpartition("/")[2].removesuffix(".drv")[_HASH:] or drv
