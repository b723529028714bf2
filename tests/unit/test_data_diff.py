from __future__ import annotations

import hashlib
import json
import math
import random
import statistics
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from datafiles import arrow_file, parquet, write
from hypothesis import given
from hypothesis import strategies as st

from nixgen.artifacts.model import PinnedArtifact, PinnedFile
from nixgen.artifacts.store import Folder
from nixgen.data import render, snapshot
from nixgen.data.compare import diff_command
from nixgen.data.diff import DataDiff, diff
from nixgen.data.manifest import describe
from nixgen.data.schema import Column, from_arrow, schema_hash
from nixgen.data.sketch import BINS, Sketch
from nixgen.data.snapshot import Snapshot
from nixgen.data.stats import PERCENTS, Accumulator, ColumnStatistics
from nixgen.errors import UserError
from nixgen.lockfile import dump_lock
from nixgen.model import Lock, NixpkgsBase
from nixgen.project import Project
from nixgen.settings import Settings

JUNE = "id,amount,city\n1,10.5,Rome\n2,20.5,\n3,30.5,Oslo\n"
JULY = "id,amount,country\n1,10.5,IT\n2,99.5,NO\n3,,NO\n4,50,NO\n"


def taken(folder: Path, files: Mapping[str, str | bytes], name: str = "") -> Snapshot:
    write(folder, files)
    return snapshot.read(*snapshot.of_path(folder, name or folder.name))


def column(values: Sequence[Any], kind: Any, blocks: int = 10_000) -> ColumnStatistics:
    array = pa.array(values, kind)
    [described] = from_arrow(pa.schema([pa.field("x", array.type)]))
    accumulator = Accumulator(described)
    for start in range(0, len(array), blocks):
        accumulator.add(array.slice(start, blocks))
    return accumulator.result()


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


def test_nested_json_counts_and_lengths(tmp_path: Path) -> None:
    side = taken(tmp_path / "x", {"a.jsonl": '{"l": [1, 2], "s": {"a": 1}}\n{"l": []}\n'})
    assert side.columns is not None
    lists, structs = side.columns
    assert (lists.measured, lists.minimum, lists.maximum, lists.mean) == ("lengths", 0, 2, 1.0)
    assert (structs.measured, structs.count, structs.nulls) == ("nothing", 1, 1)


def july(tmp_path: Path) -> DataDiff:
    old = taken(tmp_path / "june", {"a.csv": JUNE, "gone.txt": "x"})
    return diff(old, taken(tmp_path / "july", {"a.csv": JULY, "new.txt": "yy"}))


def test_what_differs(tmp_path: Path) -> None:
    found = july(tmp_path)
    assert not found.empty
    assert [file.path for file in found.files_added] == ["new.txt"]
    assert [file.path for file in found.files_removed] == ["gone.txt"]
    assert [changed.new.path for changed in found.files_changed] == ["a.csv"]
    assert (found.old.records, found.new.records) == (3, 4)
    assert found.columns_added == (Column("country", "string", False),)
    assert found.columns_removed == (Column("city", "string", True),)
    assert [retyped.new for retyped in found.columns_retyped] == [Column("amount", "float64", True)]
    assert [drift.new.name for drift in found.drift] == ["id", "amount"]
    assert not found.reordered


@pytest.mark.parametrize(
    ("name", "form"), [("diff.txt", render.as_text), ("diff.md", render.as_markdown), ("diff.json", render.as_json)]
)
def test_the_three_forms(
    tmp_path: Path, golden: Callable[[str, str], None], name: str, form: Callable[[DataDiff], str]
) -> None:
    golden(f"data/{name}", form(july(tmp_path)) + "\n")


def test_json_says_all(tmp_path: Path) -> None:
    found = july(tmp_path)
    document = json.loads(render.as_json(found))
    assert document["version"] == 1
    assert document["equal"] is False
    assert document["schema"]["added"] == [{"name": "country", "type": "string", "nullable": False}]
    assert document["drift"][1]["new"]["p50"] == 50.0
    assert document["files"]["changed"][0]["new"]["path"] == "a.csv"


def test_json_has_neither_nan_nor_infinity(tmp_path: Path) -> None:
    old = taken(tmp_path / "a", {"a.csv": "x\n1.5\nnan\n"})
    new = taken(tmp_path / "b", {"a.csv": "x\n1.5\ninf\n"})
    drift = json.loads(render.as_json(diff(old, new)))["drift"][0]
    assert (drift["old"]["nans"], drift["new"]["max"]) == (1, "inf")
    assert "inf" in render.as_text(diff(old, new))


def test_markdown_keeps_its_cells(tmp_path: Path) -> None:
    old = taken(tmp_path / "a", {"a.csv": "x\n1\n"})
    new = taken(tmp_path / "b", {"a.csv": 'x,"a|b\n<b>"\n1,2\n'})
    assert "| added | a\\|b \\<b> | int64 |" in render.as_markdown(diff(old, new))


ROW = st.fixed_dictionaries({"a": st.none() | st.integers(), "b": st.floats() | st.none(), "c": st.text(max_size=3)})


@given(st.lists(ROW, max_size=8))
def test_equal_snapshots_do_not_differ(rows: list[dict[str, Any]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        text = "".join(json.dumps(row) + "\n" for row in rows)
        old, new = (taken(Path(folder, name), {"a.jsonl": text}) for name in ("old", "new"))
    found = diff(old, new)
    assert found.empty
    assert found == DataDiff(old, new)
    assert json.loads(render.as_json(found))["equal"] is True
    assert render.as_text(found).startswith("old and new are the same: 1 file")


def test_the_same_rows_in_other_files_drift_nowhere(tmp_path: Path) -> None:
    rows = [f"{n * 0.1!r},t{n}\n" for n in range(100)]
    old = taken(tmp_path / "a", {"x.csv": "f,s\n" + "".join(rows)})
    new = taken(tmp_path / "b", {"x.csv": "f,s\n" + "".join(rows[50:]), "y.csv": "f,s\n" + "".join(rows[:50])})
    found = diff(old, new)
    assert (found.drift, found.schema_changed) == ((), False)
    assert not found.empty


def test_the_command_takes_folders_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, {"june.csv": JUNE, "july.csv": JULY, "again/june.csv": JUNE})
    found = diff_command("june.csv", "july.csv", None)
    assert (found.old.name, found.new.name, found.new.records) == ("june.csv", "july.csv", 4)
    same = diff_command("june.csv", "again", None)
    assert same.empty
    assert same.old.schema == same.new.schema
    assert [schema_hash(same.old.schema or ()), "string"] == [same.old.schema_hash, (same.old.schema or ())[2].type]
    with pytest.raises(UserError) as caught:
        diff_command("june.csv", "august.csv", None)
    assert str(caught.value) == ("august.csv: is not there\n    name a folder, a file, or a dataset of nixgen.lock")


def pinned(project: Project, form: str | None = None) -> None:
    """Pins the file of the project as nixgen lock does."""
    path = project.path("sales/a.csv")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    data = describe("sales", "file:sales", form, [("a.csv", path)], {"a.csv": digest})
    file = PinnedFile("a.csv", path.stat().st_size, digest, local="sales/a.csv")
    artifact = PinnedArtifact("data", "sales", "file:sales", "file", (file,), format=form, data=data)
    base = NixpkgsBase("nixos-26.05", "a" * 40, "sha256-" + "A" * 43 + "=", 1, "2.40", "3.13", (), ())
    project.path("nixgen.lock").write_text(dump_lock(Lock(base, artifacts=(artifact,))), encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    root = tmp_path / "project"
    write(root, {"sales/a.csv": JUNE})
    monkeypatch.chdir(tmp_path)
    made = Project(root, "demo", {}, Settings(), None, True)
    pinned(made)
    return made


NOWHERE = Folder(Path("/nonexistent"))


def test_a_pinned_dataset_is_read_where_it_lies(project: Project, tmp_path: Path) -> None:
    write(tmp_path, {"july.csv": JULY})
    found = diff_command("sales", "july.csv", project, NOWHERE)
    assert [drift.new.name for drift in found.drift] == ["id", "amount"]
    assert found.notes == ()
    assert diff_command("data.sales", str(project.path("sales")), project, NOWHERE).empty


def test_a_pinned_dataset_of_another_commit(project: Project, tmp_path: Path) -> None:
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "june"]):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *command],
                       cwd=project.root, check=True)  # fmt: skip
    held = tmp_path / "held"
    held.mkdir()
    june = project.path("sales/a.csv").read_bytes()
    project.path("sales/a.csv").write_text(JULY, encoding="utf-8")
    pinned(project)
    lacking = diff_command("sales@HEAD", "sales", project, NOWHERE)
    assert lacking.notes == (
        "sales@HEAD: a.csv not on this machine as pinned; columns are not compared (get them: nixgen data fetch sales)",
    )
    assert (lacking.old.records, lacking.new.records, lacking.schema_changed, lacking.drift) == (3, 4, True, ())
    assert "the schema's hash differs" in render.as_text(lacking)
    (held / hashlib.sha256(june).hexdigest()).write_bytes(june)
    found = diff_command("sales@HEAD", "sales", project, Folder(held))
    assert (found.notes, len(found.drift)) == ((), 2)
    with pytest.raises(UserError, match=r"sales@v9: has no nixgen\.lock there: "):
        diff_command("sales@v9", "sales", project, NOWHERE)


def test_a_name_that_is_not_pinned(project: Project) -> None:
    with pytest.raises(UserError) as caught:
        diff_command("salse", "sales", project, NOWHERE)
    assert str(caught.value) == (
        "salse: is neither a path nor a dataset of nixgen.lock\n    did you mean sales? it has sales"
    )


def test_a_broken_file_is_told_with_its_row(tmp_path: Path) -> None:
    write(tmp_path, {"a.csv": JUNE, "b.csv": JUNE + "4,5\n"})
    with pytest.raises(UserError, match=r"b\.csv: row 5: has 2 fields, and the header has 3"):
        diff_command(str(tmp_path / "a.csv"), str(tmp_path / "b.csv"), None)


def test_an_empty_folder_and_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no files"):
        snapshot.of_path(tmp_path, "x")
    (tmp_path / "a.csv").symlink_to("nowhere")
    with pytest.raises(UserError, match=r"x: a\.csv: is no file, nor a link to one"):
        snapshot.of_path(tmp_path, "x")


def test_hidden_statistics_are_all_compared(tmp_path: Path) -> None:
    side = taken(tmp_path / "a", {"a.csv": "x\n1\n"})
    assert side.columns is not None
    other = replace(side, columns=(replace(side.columns[0], nulls=1),))
    assert [drift.new.nulls for drift in diff(side, other).drift] == [1]


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.arrows", "a.csv", "a.jsonl"])
def test_damaged_files_are_refused_or_read(tmp_path: Path, name: str) -> None:
    """Never anything but a sentence: offsets that lead out of an Arrow file would end the process."""
    columns = {"id": list(range(50)), "s": [f"x{n}" for n in range(50)], "l": [[n] for n in range(50)]}
    whole = {
        "a.parquet": parquet(columns),
        "a.arrow": arrow_file(columns),
        "a.arrows": arrow_file(columns, stream=True),
        "a.csv": b'id,s,"t"\n' + b'1,"x\ny",2024-01-01\n' * 40,
        "a.jsonl": b'{"id": 1, "s": "x", "l": [{"a": 2}]}\n' * 9,
    }[name]
    chance = random.Random(3)
    refused = 0
    for _ in range(150):
        damaged = bytearray(whole)
        place = chance.randrange(1, len(damaged))
        if chance.random() < 0.8:
            damaged[place] ^= 1 << chance.randrange(8)
        else:
            del damaged[place:]
        (tmp_path / name).write_bytes(damaged)
        try:
            snapshot.read(*snapshot.of_path(tmp_path / name, "x"))
        except UserError:
            refused += 1
    assert refused
