"""The three forms of what differs: tables for people, JSON for programs, Markdown for a pull request.

The JSON has all of it. Tables are for reading: of long names, types and values they have the start, and of thousands
of rows or columns the first.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any

from nixgen.console import size, table
from nixgen.data.diff import DataDiff, Drift
from nixgen.data.schema import Column
from nixgen.data.sketch import BINS
from nixgen.data.snapshot import DataFile, Snapshot
from nixgen.data.stats import ColumnStatistics, Value

JSON_VERSION = 1
"""The version of the JSON's form: it grows when a key changes its meaning or goes."""

_LONGEST = 40  # characters of a value in a table
_WIDEST = 80  # and of a name or type
_ROWS = 200  # of a table
_COLUMNS = 50  # so many columns have a table of statistics
Rows = list[list[str]]


def as_text(found: DataDiff) -> str:
    """Tables, as a terminal shows them."""
    if found.empty:
        return "\n".join([_nothing(found), *_notes(found)])
    lines: list[str] = []
    for title, head, rows in _sections(found):
        right = frozenset(range(1, len(head)))
        lines += [title, *table([head, *rows] if any(head) else rows, right=right if any(head) else frozenset()), ""]
    return "\n".join(lines + _notes(found)).rstrip("\n")


def as_markdown(found: DataDiff) -> str:
    """The same as tables of GitHub Flavored Markdown."""
    if found.empty:
        return "\n\n".join([_nothing(found), *_notes(found)])
    lines: list[str] = []
    for title, head, rows in _sections(found):
        if any(head):
            aligned = ["---", *("---:" for _ in head[1:])]
        else:
            head, aligned = ["" for _ in rows[0]], ["---" for _ in rows[0]]  # noqa: PLW2901 -- no head to show
        lines += [f"### {title}", "", *map(_row, [[*map(_escape, head)], aligned])]
        lines += [*map(_row, [[*map(_escape, row)] for row in rows]), ""]
    return "\n".join(lines + _notes(found)).rstrip("\n")


def as_json(found: DataDiff) -> str:
    """One object; every key is there, whether something differs or not. Infinities are the strings "inf", "-inf".

    The sides' schemas are what their ``schema_hash`` is of.
    """
    document = {
        "version": JSON_VERSION,
        "equal": found.empty,
        "old": _side(found.old),
        "new": _side(found.new),
        "files": {
            "added": [asdict(file) for file in found.files_added],
            "removed": [asdict(file) for file in found.files_removed],
            "changed": [{"old": asdict(file.old), "new": asdict(file.new)} for file in found.files_changed],
        },
        "schema": {
            "changed": found.schema_changed,
            "added": [asdict(column) for column in found.columns_added],
            "removed": [asdict(column) for column in found.columns_removed],
            "retyped": [{"old": asdict(column.old), "new": asdict(column.new)} for column in found.columns_retyped],
            "reordered": found.reordered,
        },
        "drift": [{"old": _statistics(drift.old), "new": _statistics(drift.new)} for drift in found.drift],
        "notes": list(found.notes),
    }
    return json.dumps(document, indent=2, allow_nan=False)


def _sections(found: DataDiff) -> Iterator[tuple[str, list[str], Rows]]:
    """Title, head (of empty strings where the rows speak for themselves), and rows, of all that differs."""
    old, new = found.old, found.new
    rows = [
        ["files", str(len(old.files)), str(len(new.files)), _change(len(old.files), len(new.files))],
        ["bytes", size(old.size), size(new.size), _change(old.size, new.size)],
        ["rows", _known(old.records), _known(new.records), _change(old.records, new.records)],
    ]
    yield "snapshots", ["", old.name, new.name, "change"], rows
    if files := _first_rows(_files(found)):
        yield "files", ["", "", ""], files
    if found.schema_changed:
        yield "schema", ["", "", ""], _first_rows(_schema(found))
    for drift in found.drift[:_COLUMNS]:
        yield _title(drift), ["", "old", "new", "change"], [*_drift(drift)]
    if len(found.drift) > _COLUMNS:
        rest = [[_name(drift.new.name)] for drift in found.drift[_COLUMNS:]]
        yield f"{_count(len(rest), 'more column')} with other statistics: --json has them", [""], _first_rows(rest)


def _first_rows(rows: Iterable[list[str]]) -> Rows:
    """The first rows of a table, and how many more there are."""
    every = iter(rows)
    found = list(islice(every, _ROWS))
    if more := sum(1 for _ in every):
        found.append([f"and {more} more: --json has them", *("" for _ in found[0][1:])])
    return found


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _name(text: str) -> str:
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def _files(found: DataDiff) -> Iterator[list[str]]:
    rows: list[tuple[str, str, DataFile]] = [("added", "", file) for file in found.files_added]
    rows += [("removed", "", file) for file in found.files_removed]
    for mark, _, file in rows:
        yield [mark, _name(file.path), size(file.size)]
    for changed in found.files_changed:
        sizes = dict.fromkeys([size(changed.old.size), size(changed.new.size)])
        yield ["changed", _name(changed.new.path), " → ".join(sizes)]


def _schema(found: DataDiff) -> Iterator[list[str]]:
    marked: list[tuple[str, Column]] = [("added", column) for column in found.columns_added]
    marked += [("removed", column) for column in found.columns_removed]
    for mark, column in marked:
        yield [mark, _name(column.name), _name(column.type_text)]
    for retyped in found.columns_retyped:
        types = f"{_name(retyped.old.type_text)} → {_name(retyped.new.type_text)}"
        yield ["retyped", _name(retyped.new.name), types]
    if found.reordered:
        yield ["reordered", "", "the columns stand in another order"]
    if found.old.schema is None or found.new.schema is None:
        yield ["changed", "", "the schema's hash differs"]


def _drift(drift: Drift) -> Iterator[list[str]]:
    parts: dict[str, Callable[[ColumnStatistics], Any]] = {
        "values": lambda column: column.count,
        "nulls": lambda column: column.nulls,
        "NaN": lambda column: column.nans,
        "distinct": lambda column: f"> {BINS}" if column.distinct is None else column.distinct,
        "min": lambda column: column.minimum,
        "mean": lambda column: column.mean,
        "max": lambda column: column.maximum,
    }
    for name, part in parts.items():
        before, after = part(drift.old), part(drift.new)
        if before != after or name in {"values", "nulls"}:
            yield [name, _cell(before), _cell(after), _change(before, after)]
    olds, news = dict(drift.old.quantiles), dict(drift.new.quantiles)
    for percent in sorted({*olds, *news}):
        before, after = olds.get(percent), news.get(percent)
        if before != after:
            yield [f"{percent} %", _cell(before), _cell(after), _change(before, after)]


def _title(drift: Drift) -> str:
    lengths = " (lengths)" if "lengths" in {drift.old.measured, drift.new.measured} else ""
    return f"column {_name(drift.new.name)}{lengths}"


def _change(old: Any, new: Any) -> str:  # noqa: ANN401 -- a value of a statistic
    """By how much, and in percent of the old, where both are numbers."""
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (old, new))
    if old == new or not numbers:
        return ""
    try:
        share = (new - old) / abs(old) if old else math.inf
        by = f"{new - old:+d}" if isinstance(new - old, int) else f"{new - old:+.4g}"
    except (OverflowError, ValueError):  # hundreds of digits, or thousands
        return ""
    if len(by) > _LONGEST:
        return ""
    return f"{by} ({share:+.1%})" if math.isfinite(share) else by


def _cell(value: Value) -> str:
    if value is None:
        return "-"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _known(count: int | None) -> str:
    return "?" if count is None else str(count)


def _nothing(found: DataDiff) -> str:
    return f"{found.old.name} and {found.new.name} are the same: {len(found.new.files)} files, {size(found.new.size)}"


def _notes(found: DataDiff) -> list[str]:
    return [f"note: {note}" for note in found.notes]


def _side(side: Snapshot) -> dict[str, Any]:
    return {
        "name": side.name,
        "format": side.format,
        "files": len(side.files),
        "bytes": side.size,
        "records": side.records,
        "content_hash": side.content_hash,
        "schema_hash": side.schema_hash,
        "schema": None
        if side.schema is None
        else [[column.name, column.type, column.nullable] for column in side.schema],
    }


def _statistics(column: ColumnStatistics) -> dict[str, Any]:
    numbers = {
        "min": column.minimum,
        "max": column.maximum,
        "mean": column.mean,
        **{f"p{percent}": value for percent, value in column.quantiles},
    }
    return {
        "name": column.name,
        "count": column.count,
        "nulls": column.nulls,
        "nans": column.nans,
        "measured": column.measured,
        "distinct": column.distinct,
        **{name: _finite(value) for name, value in numbers.items()},
        "quantiles_exact": not column.dropped_bits,
        "dropped_bits": column.dropped_bits,
    }


def _finite(value: Value) -> Value:
    return value if not isinstance(value, float) or math.isfinite(value) else str(value)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(cell: str) -> str:
    """A cell that stays one: no line breaks, bars or Markdown of its own."""
    for mark in "\\|<*_`":
        cell = cell.replace(mark, "\\" + mark)
    return " ".join(cell.split())
