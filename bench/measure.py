"""Medians, ratios and rows of the table. Everything that is compared is measured in turn, in the same run."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

TIMER = Path(__file__).with_name("timer.py")


@dataclass(frozen=True)
class Row:
    """One line of the table. ``kept`` tells whether the limit is kept; None where none can be told."""

    what: str
    measured: str
    limit: str = ""
    kept: bool | None = None
    note: str = ""


@dataclass(frozen=True)
class Series:
    """The times of one command, in seconds, in the order in which they were taken."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        low, high = min(self.seconds), max(self.seconds)
        return f"{show(self.median)} ({show(low)} to {show(high)}, {len(self.seconds)} runs)"


def show(seconds: float) -> str:
    """Seconds for people: "41 ms", "3.21 s"."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def within(what: str, series: Series, limit: float, note: str = "") -> Row:
    """The row of a time that has a limit in seconds."""
    return Row(what, str(series), f"≤ {show(limit)}", series.median <= limit, note)


def ratio(what: str, ours: Series, theirs: Series, limit: float, name: str, note: str = "") -> Row:
    """The row of a ratio between two medians of one run."""
    value = ours.median / theirs.median
    measured = f"{value:.2f} times ({show(ours.median)}; {name}: {show(theirs.median)}; {len(ours.seconds)} runs each)"
    return Row(what, measured, f"≤ {limit:.2f} times", value <= limit, note)


def timed(
    commands: Sequence[Sequence[str]],
    runs: int,
    *,
    before: Sequence[Sequence[str] | None] = (),
    warm: int = 1,
    cwd: Path | None = None,
    through: Callable[..., str] | None = None,
) -> list[Series]:
    """Runs the commands in turn, ``runs`` times after ``warm`` times that do not count; the times of each.

    ``before`` holds for each command what is run, untimed, ahead of each of its runs. ``through`` runs an argument
    list and gives its standard output: the loop then takes place wherever that runs it (in a store's namespace).
    """
    plan = json.dumps(
        {"commands": [[str(a) for a in c] for c in commands], "before": list(before), "runs": runs, "warm": warm}
    )
    argv = [sys.executable, str(TIMER), plan]
    if through is None:
        output = subprocess.run(argv, check=True, cwd=cwd, stdout=subprocess.PIPE, text=True).stdout
    else:
        output = through(*argv, cwd=cwd)
    return [Series(tuple(times)) for times in json.loads(output)]
