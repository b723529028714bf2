"""How far a dataset moved from one snapshot to another, in numbers that can be bounded.

What cannot be told is None: files that are not on this machine, a column that had values on one side only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal, InvalidOperation

from nixgen.data.diff import DataDiff
from nixgen.data.stats import ColumnStatistics, Value

_LOW, _HIGH = 5, 95  # percent


@dataclass(frozen=True, slots=True)
class Moved:
    """The column that moved the farthest, and how far; or one of which that cannot be told."""

    amount: float | None
    column: str = ""


_Measure = Callable[[ColumnStatistics, ColumnStatistics], float | None]


def same(found: DataDiff) -> bool:
    """Whether both have the same content, read in the same way."""
    old, new = found.old, found.new
    return (old.content_hash, old.format) == (new.content_hash, new.format)


def rows(found: DataDiff) -> float | None:
    """How many more rows there are (fewer: below zero), as a share of the old ones."""
    old, new = found.old.records, found.new.records
    if same(found):
        return 0.0
    if old is None or new is None:
        return None
    return (new - old) / old if old else 0.0 if not new else math.inf


def columns(found: DataDiff, without: Collection[str] = ()) -> int | None:
    """How many columns were added, removed, or have another type."""
    if same(found):
        return 0
    if found.old.schema is None or found.new.schema is None:
        return None
    changed = [*found.columns_added, *found.columns_removed, *(one.new for one in found.columns_retyped)]
    return len({column.name for column in changed}.difference(without))


def nulls(found: DataDiff, without: Collection[str] = ()) -> Moved:
    """By how much the share of missing values changed: nulls, and what is not a number."""

    def missing(old: ColumnStatistics, new: ColumnStatistics) -> float:
        before, after = ((one.nulls + one.nans) / max(1, one.count + one.nulls) for one in (old, new))
        return abs(after - before)

    return _farthest(found, without, missing)


def mean(found: DataDiff, without: Collection[str] = ()) -> Moved:
    """How far a mean moved, in the old spread: from the 5th to the 95th percentile, or else minimum to maximum."""
    return _farthest(found, without, lambda old, new: _apart(old, new, [(old.mean, new.mean)]))


def quantiles(found: DataDiff, without: Collection[str] = ()) -> Moved:
    """How far one of the quantiles of :data:`nixgen.data.stats.PERCENTS` moved, in the old spread."""

    def farthest(old: ColumnStatistics, new: ColumnStatistics) -> float | None:
        before, after = dict(old.quantiles), dict(new.quantiles)
        return _apart(old, new, [(before.get(percent), after.get(percent)) for percent in {*before, *after}])

    return _farthest(found, without, farthest)


def _farthest(found: DataDiff, without: Collection[str], measure: _Measure) -> Moved:
    if same(found):
        return Moved(0.0)
    if found.old.columns is None or found.new.columns is None:
        return Moved(None)
    moved = Moved(0.0)
    for drift in found.drift:
        if drift.new.name in without:
            continue
        amount = measure(drift.old, drift.new)
        if amount is None:
            return Moved(None, drift.new.name)
        if amount > (moved.amount or 0.0):
            moved = Moved(amount, drift.new.name)
    return moved


def _apart(old: ColumnStatistics, new: ColumnStatistics, values: list[tuple[Value, Value]]) -> float | None:
    """The largest distance between two values, in the spread of the old column."""
    if old.measured != new.measured:
        return None
    known = [(_number(before), _number(after)) for before, after in values if (before, after) != (None, None)]
    distances = [None if before is None or after is None else abs(after - before) for before, after in known]
    if None in distances:
        return None
    farthest = max((distance for distance in distances if distance is not None), default=0.0)
    if not farthest:
        return 0.0
    spread = _spread(old)
    return None if spread is None else farthest / spread if spread else math.inf


def _spread(column: ColumnStatistics) -> float | None:
    known = dict(column.quantiles)
    for low, high in ((known.get(_LOW), known.get(_HIGH)), (column.minimum, column.maximum)):
        first, last = _number(low), _number(high)
        if first is None or last is None:
            return None
        if last > first:
            return last - first if math.isfinite(last - first) else None
    return 0.0


def _number(value: Value) -> float | None:
    """A value as a finite number, of a date or time the seconds; None for what is none."""
    if value is None:
        return None
    try:
        found = float(Decimal(value)) if isinstance(value, str) else float(value)
    except InvalidOperation:
        found = _seconds(str(value))
    except (OverflowError, ValueError):  # a signalling NaN
        return None
    return found if math.isfinite(found) else None


def _seconds(text: str) -> float:
    try:
        if ":" in text and "-" not in text:
            moment = time.fromisoformat(text)
            return moment.hour * 3600 + moment.minute * 60 + moment.second + moment.microsecond / 1e6
        return (datetime.fromisoformat(text).replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds()  # noqa: DTZ001 -- only distances count
    except ValueError:
        return math.nan
