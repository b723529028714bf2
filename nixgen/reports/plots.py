"""The metrics of the last runs, as one small plot for each: places of points, in units of a picture. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from nixgen.runs.listing import number
from nixgen.runs.model import Run

WIDTH, HEIGHT = 300, 120
LEFT, TOP = 8, 14
MOST = 12
"""Metrics that are shown, in pictures and in the table."""


@dataclass(frozen=True, slots=True)
class Point:
    """A run's value: its place, what it says; whether it is of the run that is shown, or of one that ended badly."""

    x: float
    y: float
    title: str
    shown: bool
    failed: bool


@dataclass(frozen=True, slots=True)
class Plot:
    """A metric: lines between the points of runs that follow each other and have it, its range, and what it says."""

    metric: str
    points: tuple[Point, ...]
    lines: tuple[str, ...]
    low: str
    high: str
    said: str


def metrics(runs: Sequence[Run], shown: Run | None) -> tuple[str, ...]:
    """All metrics of the runs, those of the shown run first."""
    own = sorted(shown.metrics) if shown else []
    return tuple(dict.fromkeys([*own, *sorted({name for run in runs for name in run.metrics})]))


def plots(runs: Sequence[Run], shown: Run | None) -> tuple[Plot, ...]:
    """A plot for each of the first metrics that has a number."""
    made = (_plot(name, runs, shown) for name in metrics(runs, shown)[:MOST])
    return tuple(one for one in made if one is not None)


def _plot(name: str, runs: Sequence[Run], shown: Run | None) -> Plot | None:
    finite = [run.metrics[name] for run in runs if math.isfinite(run.metrics.get(name, math.nan))]
    if not finite:
        return None
    low, high = min(finite), max(finite)
    step = (WIDTH - 2 * LEFT) / max(len(runs) - 1, 1)
    points: list[tuple[int, Point]] = []
    for place, run in enumerate(runs):
        value = run.metrics.get(name, math.nan)
        if math.isfinite(value):
            share = _share(value, low, high)
            x = LEFT + place * step if len(runs) > 1 else WIDTH / 2
            y = TOP + (HEIGHT - 2 * TOP) * (1 - share)
            title = f"{run.id}: {number(value)}"
            mine = shown is not None and run.id == shown.id
            points.append((place, Point(round(x, 1), round(y, 1), title, mine, run.status != "finished")))
    lines = []
    for _, group in groupby(enumerate(points), lambda one: one[1][0] - one[0]):
        some = [point for _, (_, point) in group]
        if len(some) > 1:
            lines.append(" ".join(f"{point.x},{point.y}" for point in some))
    lack = len(runs) - len(points)
    of = f"{len(points)} run" if len(points) == 1 else f"{len(points)} runs"
    said = f"{name} of {of}: from {number(low)} to {number(high)}, {number(finite[-1])} in the last one"
    said += f"; {lack} without a number" if lack else ""
    return Plot(name, tuple(point for _, point in points), tuple(lines), number(low), number(high), said)


def _share(value: float, low: float, high: float) -> float:
    """Where a value lies between two others; halved first, since the difference of two may be infinite."""
    return (value / 2 - low / 2) / (high / 2 - low / 2) if high / 2 > low / 2 else 0.5
