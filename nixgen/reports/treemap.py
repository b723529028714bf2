"""A treemap: rectangles as large as what they stand for, as square as may be (Bruls, Huizing, van Wijk 2000). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nixgen.console import size
from nixgen.reports.model import Package

WIDTH, HEIGHT = 960, 400
_MOST = 60  # rectangles; what is smaller is one
_LETTER, _LINE = 7.5, 16  # of the text: the width of a letter, the height of a line
_INSIDE = 9


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle: its corner and sides, what it stands for, and the lines that fit into it."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str
    lines: tuple[str, ...]


def treemap(packages: Sequence[Package]) -> tuple[Tile, ...]:
    """The packages of an environment whose sizes are known, the largest first."""
    known = sorted(
        ((one.size, f"{one.name} {one.version}".strip(), one.kind) for one in packages if one.size and not one.build),
        key=lambda one: (-one[0], one[1]),
    )
    if len(known) > _MOST:
        rest = known[_MOST - 1 :]
        known = [*known[: _MOST - 1], (sum(one[0] for one in rest), f"{len(rest):,} smaller ones", "rest")]
    places = squarified([float(one[0]) for one in known], WIDTH, HEIGHT)
    return tuple(_tile(place, *one) for place, one in zip(places, known, strict=True))


def _tile(place: tuple[float, float, float, float], count: int, name: str, kind: str) -> Tile:
    x, y, width, height = (round(number, 1) for number in place)
    room = int((width - _INSIDE) / _LETTER)
    lines = [name if len(name) <= room else f"{name[: room - 1]}…", size(count)]
    fit = int((height - _INSIDE) / _LINE) if room > 3 else 0  # noqa: PLR2004 -- letters that tell something
    return Tile(
        x, y, width, height, kind, f"{name}: {size(count)}", tuple(line for line in lines[:fit] if len(line) <= room)
    )


def squarified(sizes: Sequence[float], width: float, height: float) -> list[tuple[float, float, float, float]]:
    """A rectangle (x, y, width, height) for each size, in their order: rows along the shorter side of what is left."""
    total = sum(sizes)
    if not total:
        return []
    areas = [one * width * height / total for one in sizes]
    x = y = 0.0
    found: list[tuple[float, float, float, float]] = []
    while areas:
        side = min(width, height)
        row = areas[:1]
        while len(row) < len(areas) and _worst(areas[: len(row) + 1], side) <= _worst(row, side):
            row = areas[: len(row) + 1]
        areas = areas[len(row) :]
        thick = sum(row) / side if side else 0.0
        along = 0.0
        for area in row:
            long = area / thick if thick else 0.0
            found.append((x, y + along, thick, long) if width >= height else (x + along, y, long, thick))
            along += long
        if width >= height:
            x, width = x + thick, max(width - thick, 0.0)
        else:
            y, height = y + thick, max(height - thick, 0.0)
    return found


def _worst(row: Sequence[float], side: float) -> float:
    """How far from a square the flattest of a row is."""
    thick = sum(row) / side if side else 0.0
    if not thick:
        return float("inf")
    return max(max(area / thick / thick, thick * thick / area) if area else 0.0 for area in row)
