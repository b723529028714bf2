"""The statistics of a column: as plain Python has them, whatever the order, the blocks and the format."""

from __future__ import annotations

import json
import math
import random
import statistics
import subprocess
import sys
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from datafiles import arrow_file, parquet
from hypothesis import given
from hypothesis import strategies as st
from support.snapshots import taken

from nixgen.data import snapshot
from nixgen.data.schema import Column, from_arrow
from nixgen.data.sketch import BINS, Sketch
from nixgen.data.stats import PERCENTS, Accumulator, ColumnStatistics


def column(values: Sequence[Any], kind: Any, blocks: int = 10_000) -> ColumnStatistics:
    array = pa.array(values, kind)
    [described] = from_arrow(pa.schema([pa.field("x", array.type)]))
    accumulator = Accumulator(described)
    for start in range(0, len(array), blocks):
        accumulator.add(array.slice(start, blocks))
    return accumulator.result(len(array))


def nearest_rank(values: Sequence[Any]) -> tuple[tuple[int, Any], ...]:
    ordered = sorted(values)
    return tuple((p, ordered[max(1, math.ceil(Fraction(p * len(ordered), 100))) - 1]) for p in PERCENTS)


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)), st.integers(1, 7))
def test_whole_numbers_are_as_plain_python_has_them(values: list[int | None], blocks: int) -> None:
    there = [value for value in values if value is not None]
    found = column(values, pa.int64(), blocks)
    assert (found.count, found.nulls) == (len(there), len(values) - len(there))
    if there:
        assert (found.minimum, found.maximum, found.distinct) == (min(there), max(there), len(set(there)))
        assert found.mean == float(Fraction(sum(there), len(there)))
        assert found.quantiles == nearest_rank(there)
        assert found.dropped_bits == 0


@given(st.lists(st.floats(allow_infinity=False)), st.integers(1, 7))
def test_floats_are_as_plain_python_has_them(values: list[float], blocks: int) -> None:
    there = [value for value in values if not math.isnan(value)]
    found = column(values, pa.float64(), blocks)
    assert (found.count, found.nans) == (len(values), len(values) - len(there))
    if there:
        assert (found.minimum, found.maximum, found.distinct) == (min(there), max(there), len(set(there)))
        assert found.mean == float(Fraction(sum(map(Fraction, there))) / len(there))
        assert found.quantiles == nearest_rank(there)


@given(st.lists(st.floats(), min_size=1), st.integers(1, 5), st.randoms())
def test_neither_order_nor_blocks_matter(values: list[float], blocks: int, chance: random.Random) -> None:
    mixed = chance.sample(values, len(values))
    assert repr(column(values, pa.float64())) == repr(column(mixed, pa.float64(), blocks))


@given(st.lists(st.none() | st.text(st.characters(codec="utf-8"), max_size=5)), st.integers(1, 7))
def test_strings_are_as_plain_python_has_them(values: list[str | None], blocks: int) -> None:
    there = [value for value in values if value is not None]
    found = column(values, pa.string(), blocks)
    assert (found.count, found.nulls, found.distinct) == (len(there), len(values) - len(there), len(set(there)))
    if there:
        lengths = [len(value) for value in there]
        assert (found.minimum, found.maximum) == (min(lengths), max(lengths))
        assert found.mean == statistics.mean(lengths)
        assert found.quantiles == nearest_rank(lengths)


@given(st.lists(st.decimals(-(10**6), 10**6, places=2), min_size=1))
def test_decimals_are_exact(values: list[Decimal]) -> None:
    found = column(values, pa.decimal128(12, 2))
    assert isinstance(found.minimum, str)
    assert (Decimal(found.minimum), Decimal(str(found.maximum))) == (min(values), max(values))
    assert found.mean == float(sum(map(Fraction, values)) / len(values))


@given(st.lists(st.dates(), min_size=1))
def test_dates_are_as_plain_python_has_them(values: list[date]) -> None:
    found = column(values, pa.date32())
    assert (found.minimum, found.maximum) == (min(values).isoformat(), max(values).isoformat())
    assert found.quantiles == tuple((percent, day.isoformat()) for percent, day in nearest_rank(values))
    days = sum(day.toordinal() for day in values) // len(values)
    assert found.mean == date.fromordinal(days).isoformat()


@pytest.mark.parametrize("spread", ["even", "clustered", "outlier"])
def test_quantiles_of_many_whole_numbers_are_within_the_documented_distance(spread: str) -> None:
    chance = random.Random(7)
    if spread == "even":
        values = [chance.randrange(10**12) for _ in range(50_000)]
    elif spread == "clustered":
        values = [10**15 + int(chance.gauss(0, 10**5)) for _ in range(50_000)]
    else:
        values = [*range(50_000), 2**62]
    found = column(values, pa.int64(), 1000)
    assert found.distinct is None
    assert 0 < found.dropped_bits < 40
    for (_, got), (_, true) in zip(found.quantiles, nearest_rank(values), strict=True):
        assert isinstance(got, int)
        assert abs(got - true) <= 2**found.dropped_bits / 2


def test_quantiles_of_many_floats_are_within_the_documented_share() -> None:
    chance = random.Random(7)
    values = [chance.lognormvariate(0, 5) * chance.choice([1, -1]) for _ in range(50_000)]
    found = column(values, pa.float64(), 1000)
    assert found.mean == float(sum(map(Fraction, values)) / len(values))
    for (_, got), (_, true) in zip(found.quantiles, nearest_rank(values), strict=True):
        assert isinstance(got, float)
        assert abs(got - true) <= abs(true) * 2.0 ** (found.dropped_bits - 53)
    assert found.dropped_bits <= 47


@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=200), st.integers(1, 9), st.randoms())
def test_a_sketch_depends_on_the_numbers_alone(numbers: list[int], blocks: int, chance: random.Random) -> None:
    few = 8

    def sketched(values: list[int], size: int) -> tuple[int, list[int]]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("nixgen.data.sketch.BINS", few)
            sketch = Sketch()
            for start in range(0, len(values), size):
                some = values[start : start + size]
                sketch.add([(value, 1) for value in some], 0, min(some), max(some))
            return sketch.shift, sketch.quantiles(PERCENTS)

    shift, found = sketched(numbers, blocks)
    assert (shift, found) == sketched(chance.sample(numbers, len(numbers)), 1000)
    assert len({number >> shift for number in numbers}) <= few
    assert shift == 0 or len({number >> (shift - 1) for number in numbers}) > few
    assert all(abs(a - b) <= 2**shift / 2 for a, (_, b) in zip(found, nearest_rank(numbers), strict=True))


def test_more_kinds_of_columns() -> None:
    moment = datetime.fromisoformat("2024-01-01T10:00:00")
    kinds: list[tuple[list[Any], Any, Any, Any, Any]] = [
        ([True, False, None], pa.bool_(), False, True, 0.5),
        ([2**64 - 1, 1], pa.uint64(), 1, 2**64 - 1, float(2**63)),
        ([1.5, math.inf], pa.float32(), 1.5, math.inf, math.inf),
        ([[1], [], None], pa.list_(pa.int8()), 0, 1, 0.5),
        ([[("a", 1)], []], pa.map_(pa.string(), pa.int8()), 0, 1, 0.5),
        ([b"\xff", b"abc"], pa.binary(), 1, 3, 2.0),
        ([moment, moment + timedelta(hours=1)], pa.timestamp("s"),
         "2024-01-01T10:00:00", "2024-01-01T11:00:00", "2024-01-01T10:30:00"),
        ([0, 60], pa.time32("s"), "00:00:00", "00:01:00", "00:00:30"),
        ([0, 60], pa.duration("ms"), 0, 60, 30.0),
        (["a", "bcd", "a"], pa.dictionary(pa.int8(), pa.string()), 1, 3, 5 / 3),
        (["é", "bcd", None], pa.string_view(), 1, 3, 2.0),
        ([{"a": 1}, None], pa.struct([("a", pa.int8())]), None, None, None),
        ([None, None], pa.null(), None, None, None),
        ([Decimal(10**50), None], pa.decimal256(60, 0), str(10**50), str(10**50), 1e50),
    ]  # fmt: skip
    for values, kind, low, high, mean in kinds:
        found = column(values, kind)
        assert (found.minimum, found.maximum, found.mean) == (low, high, mean), kind
        assert found.count + found.nulls == len(values)


def test_a_value_that_is_there_often_is_in_memory_once(tmp_path: Path) -> None:
    """Case 31: a file of 300 bytes took 3 GB."""
    codes = pa.array([0, None, 1, 0] * 10_000, pa.int32())
    texts = pa.DictionaryArray.from_arrays(codes, pa.array(["x" * 100_000, "é"]))
    for kind in (pa.string(), pa.binary()):
        coded, short = texts.cast(pa.dictionary(pa.int32(), kind)), ["x", None, "é", "x"] * 10_000
        (tmp_path / "a.parquet").write_bytes(parquet(pa.table({"s": coded}), whole=True))
        [text] = snapshot.read(*snapshot.of_path(tmp_path, "x")).columns or ()
        plain = column(short, kind)
        assert (text.count, text.nulls, text.distinct) == (plain.count, plain.nulls, plain.distinct)
        assert (text.minimum, text.maximum) == (1 if kind == pa.string() else 2, 100_000)
    code = "import sys; from pathlib import Path; from nixgen.data import snapshot\n"
    code += "snapshot.read(*snapshot.of_path(Path(sys.argv[1]), 'x'))\n"
    code += "print(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])"
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1 << 20


def test_nested_texts_of_several_groups_of_rows(tmp_path: Path) -> None:
    """Arrow reads no dictionaries in them when a block has values of two groups, or many."""
    texts = [[f"{number % 50}" * 40] * 3 for number in range(30_000)]
    table = pa.table({"l": texts, "s": [{"x": text[0]} for text in texts], "t": [text[0] for text in texts]})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=7000, data_page_size=1000)
    (tmp_path / "a.parquet").write_bytes(sink.getvalue().to_pybytes())
    lists, structs, plain = snapshot.read(*snapshot.of_path(tmp_path, "x")).columns or ()
    assert (lists.count, lists.mean, structs.count) == (30_000, 3.0, 30_000)
    assert (plain.count, plain.distinct) == (30_000, 50)


def test_infinities_of_both_signs_have_no_mean() -> None:
    found = column([math.inf, -math.inf], pa.float64())
    assert isinstance(found.mean, float)
    assert math.isnan(found.mean)


def test_distinct_strings_are_counted_up_to_a_bound() -> None:
    assert column([str(n) for n in range(BINS)], pa.string()).distinct == BINS
    assert column([str(n) for n in range(BINS + 1)], pa.string()).distinct is None


def test_formats_of_one_table_have_the_same_statistics(tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {
        "n": [1, 2, None],
        "s": ["a", "bb", None],
        "f": [1.5, None, -2.0],
        "b": [True, None, False],
    }
    rows = [{name: values[n] for name, values in columns.items()} for n in range(3)]
    text = "n,s,f,b\n" + "".join(
        ",".join("" if value is None else str(value) for value in row.values()) + "\n" for row in rows
    )
    files: dict[str, str | bytes] = {
        "x.parquet": parquet(columns),
        "x.arrow": arrow_file(columns),
        "x.csv": text,
        "x.jsonl": "".join(json.dumps(row) + "\n" for row in rows),
    }
    found = [taken(tmp_path / name.replace(".", "_"), {name: content}) for name, content in files.items()]
    assert len({side.columns for side in found}) == 1
    assert len({side.schema_hash for side in found}) == 1


def test_huge_whole_numbers(tmp_path: Path) -> None:
    huge = 10**30
    for name, content in {"a.csv": f"x\n{huge}\n-1\n", "a.jsonl": f'{{"x": {huge}}}\n{{"x": -1}}\n'}.items():
        side = taken(tmp_path / name[2:], {name: content})
        assert side.schema == (Column("x", "integer", False),)
        assert side.columns is not None
        assert (side.columns[0].minimum, side.columns[0].maximum) == (-1, huge)


@pytest.mark.parametrize("digits", [400, 1000])
def test_hundreds_of_digits(tmp_path: Path, digits: int) -> None:
    """Case 35."""
    huge = 10 ** (digits - 1)
    for name, content in {
        "a.csv": f"x\n{huge}\n{-huge * 3}\n",
        "a.jsonl": f'{{"x": {huge}}}\n{{"x": {-huge * 3}}}\n',
    }.items():
        [found] = taken(tmp_path / name[2:], {name: content}).columns or ()
        assert (found.minimum, found.maximum, found.mean) == (-huge * 3, huge, -math.inf)
    [found] = taken(tmp_path / "mixed", {"a.jsonl": f'{{"x": {huge}}}\n{{"x": -{huge}}}\n{{"x": 1.5}}\n'}).columns or ()
    assert (found.minimum, found.maximum) == (-math.inf, math.inf)


def test_few_values_at_a_time_count_as_many_do() -> None:
    texts = [str(n % 90) if n % 7 else None for n in range(600)]
    coded = pa.dictionary(pa.int8(), pa.string())
    for values, kind in ([list(range(-300, 300)), pa.int64()], [texts, pa.string()], [texts, coded]):
        assert column(values, kind, 7) == column(values, kind)
    assert column(texts, coded, 7) == column(texts, pa.string())


def test_nested_json_counts_and_lengths(tmp_path: Path) -> None:
    side = taken(tmp_path / "x", {"a.jsonl": '{"l": [1, 2], "s": {"a": 1}}\n{"l": []}\n'})
    assert side.columns is not None
    lists, structs = side.columns
    assert (lists.measured, lists.minimum, lists.maximum, lists.mean) == ("lengths", 0, 2, 1.0)
    assert (structs.measured, structs.count, structs.nulls) == ("nothing", 1, 1)
