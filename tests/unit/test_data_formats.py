"""Reading CSV, JSON, Parquet and Arrow: types, bad input, blocks, memory."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from datafiles import described, parquet, write
from hypothesis import given
from hypothesis import strategies as st
from support.datasets import CSV, refused
from support.snapshots import taken

from nixgen.data import csvfile, jsonfile
from nixgen.data.arrow import arrow
from nixgen.data.reading import scan
from nixgen.data.schema import Column, Schema, from_arrow, schema_hash, type_text
from nixgen.errors import MachineError, UserError


def schema_of(tmp_path: Path, name: str, content: str | bytes, form: str) -> Schema:
    [(path, file)] = write(tmp_path, {name: content})
    return scan(form, path, file, "data.sales").schema


def shown(schema: Schema) -> str:
    return ", ".join(map(str, schema))


CELLS = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(repr),
    st.sampled_from(["", '""', "true", "2024-02-29", "2024-02-30", "2024-01-01T10:00:00Z", "007", "x\ny", 'a"b', "é"]),
)


@given(st.lists(st.tuples(CELLS, CELLS), max_size=30), st.integers(16, 600))
def test_csv_does_not_depend_on_the_blocks(rows: list[tuple[str, str]], block: int) -> None:
    def cell(text: str) -> str:
        return text if text == '""' or not set(text) & set('\n"') else '"' + text.replace('"', '""') + '"'

    text = "a,b\n" + "".join(f"{cell(a)},{cell(b)}\n" for a, b in rows)
    with scratch() as folder:
        [(path, file)] = write(folder, {"a.csv": text})
        whole = csvfile.scan(path, file, "data.s", "csv")
        assert csvfile.scan(path, file, "data.s", "csv", (block, 4096)) == whole
    assert whole.records == len(rows)


VALUES = st.recursive(
    st.none() | st.integers(-(10**20), 10**20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)


@given(st.lists(st.dictionaries(st.sampled_from("xyz"), VALUES), max_size=12), st.integers(1, 5))
def test_json_lines_do_not_depend_on_the_blocks(rows: list[dict[str, Any]], block: int) -> None:
    import json

    with scratch() as folder:
        [(path, file)] = write(folder, {"a.jsonl": "".join(json.dumps(row) + "\n" for row in rows)})
        results = []
        for size in (10_000, block):
            try:
                results.append(str(jsonfile.scan(path, file, "data.s", size)))
            except UserError as error:
                results.append(str(error).split(":")[0])
        assert results[0] == results[1]


def scratch() -> Any:
    import contextlib
    import tempfile

    @contextlib.contextmanager
    def opened() -> Any:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)

    return opened()


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-7", "0"], "int64"),
        (["1", ""], "int64?"),
        (["9223372036854775807"], "int64"),
        (["9223372036854775808"], "integer"),
        (["123456789012345678901234567890", "1"], "integer"),
        (["1", "1.5", "-2e10", ".5", "nan", "inf"], "float64"),
        (["01234", "1"], "string"),
        (["+49123"], "string"),
        (["true", "FALSE"], "bool"),
        (["2024-02-29"], "date"),
        (["2024-02-30"], "string"),
        (["2024-02-29", "2024-02-29T10:00:00"], "string"),
        (["2024-02-29T10:00:00", "2024-02-29 10:00:00.123456"], "timestamp[us]"),
        (["2024-02-29T10:00:00Z", "2024-02-29T10:00:00+02:00"], "timestamp[us, UTC]"),
        (["2024-02-29T10:00:00Z", "2024-02-29T10:00:00"], "string"),
        ([""], "null?"),
        (['""'], "string"),
        (["NULL", "1"], "string"),
    ],
)
def test_types_of_csv_columns(tmp_path: Path, values: list[str], kind: str) -> None:
    text = "x,end\n" + "".join(f"{value},e\n" for value in values)
    assert schema_of(tmp_path, "a.csv", text, "csv")[0].type_text == kind


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2"], "int64"),
        (["1", "null"], "int64?"),
        (["9223372036854775808"], "integer"),
        (["1", "1.5"], "float64"),
        (['"2024-01-01"'], "string"),
        (["[]", "[1, null]"], "list<int64?>"),
        (['{"a": 1}', '{"b": "x"}'], "struct<a: int64?, b: string?>"),
        (["true"], "bool"),
        (["null"], "null?"),
    ],
)
def test_types_of_json_values(tmp_path: Path, values: list[str], kind: str) -> None:
    text = "".join(f'{{"x": {value}}}\n' for value in values)
    assert schema_of(tmp_path, "a.jsonl", text, "jsonl")[0].type_text == kind


def test_a_missing_key_is_a_null(tmp_path: Path) -> None:
    assert shown(schema_of(tmp_path, "a.jsonl", '{"x": 1}\n{"y": 2}\n', "jsonl")) == "x: int64?, y: int64?"


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    assert shown(schema_of(tmp_path, "a.csv", b"\xef\xbb\xbfid\n1\n", "csv")) == "id: int64"
    assert shown(schema_of(tmp_path, "a.jsonl", b'\xef\xbb\xbf{"id": 1}\n', "jsonl")) == "id: int64"


def test_how_arrow_packs_values_is_no_part_of_the_schema() -> None:
    fields = {
        "a": pa.large_string(),
        "b": pa.dictionary(pa.int8(), pa.string()),
        "c": pa.string_view(),
        "d": pa.uuid(),
        "e": pa.date64(),
        "f": pa.large_list(pa.field("item", pa.float16(), nullable=False)),
        "g": pa.list_(pa.int8(), 3),
        "h": pa.map_(pa.string(), pa.decimal128(9, 2)),
        "i": pa.timestamp("ns", "Europe/Berlin"),
        "j": pa.time32("s"),
        "k": pa.duration("ms"),
        "l": pa.month_day_nano_interval(),
        "m": pa.run_end_encoded(pa.int16(), pa.int8()),
    }
    found = from_arrow(pa.schema(list(fields.items())))
    assert [type_text(column.type) for column in found] == [
        "string", "string", "string", "binary(16)", "date", "list<float16>", "list<int8?, 3>",
        "map<string, decimal(9, 2)?>", "timestamp[ns, Europe/Berlin]", "time[s]", "duration[ms]", "interval", "int8",
    ]  # fmt: skip
    assert from_arrow(pa.schema([pa.field("x", pa.int8(), nullable=False)])) == (Column("x", "int8", False),)


@pytest.mark.parametrize(
    ("files", "form", "sentence"),
    [
        ({"a.csv": b"a,b\n1,2\n1,2,3\n"}, None, "data.sales: a.csv: row 3: has 3 fields, and the header has 2"),
        ({"a.csv": b"a,b\n1,2\n1,\xff\n"}, None, "data.sales: a.csv: row 3: is not UTF-8"),
        ({"a.csv": b"a,\xff\n1,2\n"}, None, "data.sales: a.csv: row 1: is not UTF-8"),
        ({"a.csv": "a\n1\n".encode("utf-16")}, None, "data.sales: a.csv: is UTF-16 text; nixgen reads UTF-8"),
        ({"a.csv": b""}, None, "data.sales: a.csv: is empty: a CSV file begins with a line of column names"),
        ({"a.csv": b"a,b,a\n"}, None, "is not a CSV file that can be read: it has two columns named 'a'"),
        ({"a.csv": b'a,b\n1,"2\n3,4\n'}, None, "ends within quotes: a quotation mark is opened and never closed"),
        ({"a.csv.gz": b"a,b\n1,2\n"}, None, "data.sales: a.csv.gz: is not a CSV file that can be read: Not a gzipped"),
        (
            {"a.csv.gz": gzip.compress(b"a\n" * 99)[:-9]},
            None,
            "is not a CSV file that can be read: Compressed file end",
        ),
        ({"a.parquet": b"PAR1"}, None, "data.sales: a.parquet: is not a Parquet file that can be read: "),
        ({"a.parquet": b""}, None, "data.sales: a.parquet: is not a Parquet file that can be read: "),
        ({"a.arrow": b"ARROW1\0\0"}, None, "data.sales: a.arrow: is not an Arrow file that can be read: "),
        ({"a.arrow": b""}, None, "data.sales: a.arrow: is not an Arrow file that can be read: it is empty"),
        ({"a.feather": b"FEA1" * 9}, None, "it is in Feather's version 1"),
        ({"a.jsonl": b'{"a": 1}\n{"a": \n'}, None, "data.sales: a.jsonl: line 2: is not JSON: Expecting value"),
        ({"a.jsonl": b'{"a": 1}\n[1]\n'}, None, "data.sales: a.jsonl: line 2: holds a list, and a record is an object"),
        ({"a.jsonl": b'{"a": "\xff"}\n'}, None, "data.sales: a.jsonl: line 1: is not UTF-8"),
        ({"a.jsonl": b'{"a": "\\ud800"}\n'}, None, "line 1: has half of a surrogate pair, which is no character"),
        ({"a.jsonl": b'{"a": ' + b"9" * 5000 + b"}\n"}, None, "line 1: has a number of too many digits"),
        ({"a.jsonl": b'{"a": ' + b"[" * 200_000}, None, "line 1: is nested too deeply"),
        ({"a.jsonl": b'{"a": ' + b"[" * 100 + b"1" + b"]" * 100 + b"}"}, None, "line 1: is nested too deeply"),
        ({"a.jsonl": b'{"a": ' * 500 + b"1" + b"}" * 500}, None, "line 1: is nested too deeply"),
        ({"a.jsonl": b'{"a": [' + b"[]," * (2 << 20) + b"[]]}"}, None, "line 1: holds too much for one record"),
        ({"a.jsonl": b'{"a": "' + b"x" * (32 << 20) + b'"}'}, None, "line 1: is longer than 32 MiB"),
        ({"a.csv": b"," * 100_000 + b"\n"}, None, "data.sales: a.csv: has more than 100000 columns"),
        ({"a.csv": b"c," * 99_999 + b"c\n"}, None, "it has two columns named 'c'"),
        (
            {"a.jsonl": b'{"a": 1}\n{"a": null}\n{"a": "x"}\n'},
            None,
            "data.sales: a.jsonl: line 3: has string in a, which is int64 in the lines before",
        ),
        ({"a.jsonl": b'{"a": [1, "x"]}\n'}, None, "line 1: has a list of values of different types"),
        (
            {"a.jsonl": b'{"a": 1}\n', "b.jsonl": b'{"a": "x"}\n'},
            None,
            "data.sales: b.jsonl: has string in a, which is int64 in a.jsonl and others",
        ),
        (
            {"a.csv": b"a,b\n1,2\n", "b.csv": b"a,c\n1,2\n"},
            None,
            "data.sales: b.csv: has another schema than a.csv: it lacks b; it has c besides",
        ),
        ({"a.csv": b"a,b\n", "b.csv": b"b,a\n"}, None, "its columns stand in another order"),
        ({"a.csv": b"a\n1\n", "b.jsonl": b"{}"}, None, "data.sales: mixes formats: a.csv (csv) and b.jsonl (jsonl)"),
        (
            {"a.csv": b"a\n1\n"},
            "parqet",
            'data.sales: "parqet" is not a format of data\n  hint: did you mean "parquet"?',
        ),
        ({"a.csv": b"a\n", "b.csv": b"a\n"}, "parquet", "none of its 2 files is named as parquet files are (*.parquet"),
        ({}, None, "data.sales: has no files"),
    ],
)
def test_bad_input(tmp_path: Path, files: dict[str, str | bytes], form: str | None, sentence: str) -> None:
    assert sentence in refused(tmp_path, files, form)


@pytest.mark.heavy
def test_names_of_columns_cost_what_they_are_long(tmp_path: Path) -> None:
    """Case 36: a new key in each of 100,000 lines, which took a look at every other line each."""
    text = "".join(f'{{"k{number}": {{"k{number}": 1}}}}\n' for number in range(100_000))
    [(path, file)] = write(tmp_path, {"a.jsonl": text})
    found = scan("jsonl", path, file, "data.sales")
    assert (found.records, len(found.schema)) == (100_000, 100_000)
    assert found.schema[7] == Column("k7", ("struct", ("k7", "int64", False)), True)


def test_json_lines_of_many_files_are_as_one_file(tmp_path: Path) -> None:
    lines = [
        '{"a": 1, "s": {"x": [1]}}\n',
        '{"b": null}\n{}\n',
        "",
        '{"s": {"x": [null], "y": 1.5}, "a": 2.5}\n',
        "{}\n",
    ]
    one = described(tmp_path / "one", {"a.jsonl": "".join(lines)})
    many = described(tmp_path / "many", {f"{number}.jsonl": text for number, text in enumerate(lines)})
    assert (one.schema_hash, one.record_count) == (many.schema_hash, many.record_count)


@pytest.mark.parametrize(("digits", "kind"), [(18, "int64"), (400, "integer"), (1000, "integer"), (1001, "float64")])
def test_whole_numbers_of_csv_have_at_most_1000_digits(tmp_path: Path, digits: int, kind: str) -> None:
    for rows in (1, 100):
        for sign in ("", "-"):
            text = "x\n" + f"{sign}{'9' * digits}\n" * rows
            assert shown(schema_of(tmp_path, "a.csv", text, "csv")) == f"x: {kind}"


def test_a_header_that_is_longer_than_a_block(tmp_path: Path) -> None:
    names = [f"c{number:0100}" for number in range(3000)]
    found = schema_of(tmp_path, "a.csv", ",".join(names) + "\n" + ",".join("1" * 3000) + "\n", "csv")
    assert [column.name for column in found] == names


def test_thousands_of_columns_are_read_some_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 31: a header of 60 KB took half a GB."""
    names = ["é", "a b", 'q"q', "x\ty", *(f"c{number}" for number in range(40))]
    quoted = ['"q""q"' if name == 'q"q' else name for name in names]
    rows = [[str(column * row) if row != 3 else "" for column in range(len(names))] for row in range(50)]
    text = "\ufeff" + ",".join(quoted) + "\r\n" + "".join(",".join(row) + "\r\n" for row in rows)
    whole = taken(tmp_path / "whole", {"a.csv": text})
    monkeypatch.setattr(csvfile, "_AT_ONCE", 7)
    parts = taken(tmp_path / "whole", {"a.csv": text})
    assert [column.name for column in parts.schema or ()] == names
    assert parts == whole


def test_a_type_of_parquet_that_is_nested_too_deeply() -> None:
    kind = pa.int8()
    for _ in range(110):
        kind = pa.struct([("x", kind)])
    with pytest.raises(ValueError, match=r"^a type in it is nested more than 100 deep$"):
        from_arrow(pa.schema([pa.field("x", kind)]))


def test_what_takes_more_memory_than_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise pa.ArrowMemoryError("malloc of size 4611686018427387904 failed")

    monkeypatch.setattr("nixgen.data.columnar.scan_parquet", full)
    with pytest.raises(MachineError, match=r"a\.parquet: takes more memory than there is"):
        schema_of(tmp_path, "a.parquet", parquet({"x": [1]}), "parquet")


def test_what_is_beside_the_records_is_not_read(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"a.csv": CSV, "_old/b.csv": b"\xff", ".c.csv": b"\xff", "_SUCCESS": b""}
    assert described(tmp_path, files).record_count == 2


def test_header_only_and_empty_lines(tmp_path: Path) -> None:
    assert described(tmp_path, {"a.csv": "a,b"}).record_count == 0
    assert described(tmp_path, {"a.csv": "a,b\n"}).record_count == 0
    empty = described(tmp_path / "other", {"a.jsonl": ""})
    assert (empty.record_count, empty.schema_hash) == (0, schema_hash(()))


@pytest.mark.heavy
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="proc(5) tells the peak of one program")
@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, form: str) -> None:
    """48 MB are read with at most 25 MB more than 3 MB are."""
    program = (
        "import re, sys\n"
        "from pathlib import Path\n"
        "from nixgen.data import snapshot\n"
        "snapshot.read(*snapshot.of_path(Path(sys.argv[1]), 'x'))\n"
        # Not getrusage: its peak is kept over the start of another program, so it would be that of the tests.
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
    )
    peaks = []
    for rows in (20_000, 20_000 * 16):
        path = tmp_path / f"{rows}.{form}"
        if form == "parquet":
            block = pa.table({"id": pa.array(range(20_000)), "text": [f"{n:0130d}" for n in range(20_000)]})
            with arrow("parquet").ParquetWriter(path, block.schema, compression="none", use_dictionary=False) as writer:
                for _ in range(rows // 20_000):
                    writer.write_table(block)
        else:
            line = "1,{:0140d}\n" if form == "csv" else '{{"id": 1, "text": "{:0130d}"}}\n'
            lines = "".join(line.format(n) for n in range(20_000))
            with path.open("w") as opened:
                opened.write("id,text\n" if form == "csv" else "")
                for _ in range(rows // 20_000):
                    opened.write(lines)
        done = subprocess.run([sys.executable, "-c", program, path], check=True, capture_output=True, text=True)
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 25_000, peaks
