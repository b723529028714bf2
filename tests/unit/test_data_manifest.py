from __future__ import annotations

import gzip
import hashlib
import random
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from datafiles import arrow_file, described, parquet, sums, write
from hypothesis import given
from hypothesis import strategies as st

from nixgen.data import csvfile, jsonfile
from nixgen.data.arrow import arrow
from nixgen.data.manifest import content_hash, describe
from nixgen.data.reading import scan
from nixgen.data.schema import Column, Schema, from_arrow, schema_hash, type_text
from nixgen.errors import MachineError, UserError

PAGE = Path(__file__).parents[2] / "docs" / "data.md"
NOON = datetime(2026, 7, 31, 12, tzinfo=UTC)
CSV = "id,name\n1,ann\n2,\n"


def schema_of(tmp_path: Path, name: str, content: str | bytes, form: str) -> Schema:
    [(path, file)] = write(tmp_path, {name: content})
    return scan(form, path, file, "data.sales").schema


def shown(schema: Schema) -> str:
    return ", ".join(map(str, schema))


def refused(tmp_path: Path, files: dict[str, str | bytes], form: str | None = None) -> str:
    with pytest.raises(UserError) as caught:
        described(tmp_path, files, form)
    return str(caught.value)


def test_a_manifest_says_what_is_there(tmp_path: Path) -> None:
    found = described(tmp_path, {"a.csv": CSV, "b.csv": CSV, "README.md": "words"}, now=NOON)
    assert (found.dataset_name, found.storage_uri) == ("sales", "file:sales")
    assert found.record_count == 4
    assert found.schema_hash == schema_hash((Column("id", "int64", False), Column("name", "string", True)))
    assert found.created_at == "2026-07-31T12:00:00Z"


def test_all_formats_count_alike(tmp_path: Path) -> None:
    columns = {"id": [1, 2, 3]}
    files: dict[str, str | bytes] = {
        "a.parquet": parquet(columns),
        "a.arrow": arrow_file(columns),
        "a.arrows": arrow_file(columns, stream=True),
        "a.csv": "id\n1\n2\n3\n",
        "a.tsv": "id\n1\n2\n3",
        "a.jsonl": '{"id": 1}\n{"id": 2}\n\n{"id": 3}',
        "a.csv.gz": gzip.compress(b"id\n1\n2\n3\n"),
    }
    for name, content in files.items():
        found = described(tmp_path / name.replace(".", "_"), {name: content})
        assert found.record_count == 3, name


def test_zstd_is_unpacked(tmp_path: Path) -> None:
    packed = pa.compress(b'{"id": 1}\n', codec="zstd", asbytes=True)
    assert described(tmp_path, {"a.jsonl.zst": packed}).record_count == 1
    assert described(tmp_path, {"a.csv.zst": pa.compress(b"id\n1\n", codec="zstd", asbytes=True)}, "csv").record_count


def test_files_without_records_have_a_content_alone(tmp_path: Path) -> None:
    found = described(tmp_path, {"a.png": b"\x89PNG", "b.png": b"\x89PNG"})
    assert (found.record_count, found.schema_hash) == (None, None)
    assert len(found.content_hash) == 64
    named = described(tmp_path, {"a.csv": "not,\na csv"}, "files")
    assert (named.record_count, named.schema_hash) == (None, None)


def test_created_at_stays_while_the_content_does(tmp_path: Path) -> None:
    old = described(tmp_path, {"a.csv": CSV}, now=NOON)
    later = datetime(2026, 8, 1, tzinfo=UTC)
    assert described(tmp_path, {"a.csv": CSV}, previous=old, now=later).created_at == "2026-07-31T12:00:00Z"
    assert described(tmp_path, {"a.csv": CSV + "3,bob\n"}, previous=old, now=later).created_at == "2026-08-01T00:00:00Z"


def page_code() -> str:
    found = re.search(r"<!-- the ten lines -->\n```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_ten_lines_of_the_page_give_the_same_hashes(tmp_path: Path) -> None:
    code = page_code()
    assert len(code.strip().splitlines()) <= 10
    folder = tmp_path / "snapshot"
    files: dict[str, str | bytes] = {"b/é\n.csv": CSV, "a.csv": CSV, "Z.csv": CSV}
    found = described(folder, files)
    columns = [["id", "int64", False], ["name", "string", True]]
    script = tmp_path / "recompute.py"
    script.write_text(code + f"\nprint(content_hash({str(folder)!r}), schema_hash({columns!r}))\n", encoding="utf-8")
    printed = subprocess.run([sys.executable, "-I", script], check=True, capture_output=True, text=True).stdout.split()
    assert printed == [found.content_hash, found.schema_hash]


def test_the_hashes_never_change() -> None:
    """What was pinned years ago must be found again: these constants stay."""
    assert (
        content_hash([("a/ü.csv", 3, "ab" * 32)])
        == hashlib.sha256(b'["a/\\u00fc.csv",3,"' + b"ab" * 32 + b'"]\n').hexdigest()
    )
    schema = (Column("é", ("list", "int64", True), False), Column("b", ("struct", ("x", "date", True)), True))
    assert (
        schema_hash(schema)
        == hashlib.sha256(
            b'[["\\u00e9",["list","int64",true],false],["b",["struct",["x","date",true]],true]]'
        ).hexdigest()
    )


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.integers(0, 9), min_size=1), st.randoms())
def test_the_order_of_files_does_not_matter(files: dict[str, int], chance: random.Random) -> None:
    rows = [(path.encode("utf-8", "replace").decode(), size, f"{size:064x}") for path, size in files.items()]
    mixed = chance.sample(rows, len(rows))
    assert content_hash(rows) == content_hash(mixed)


def test_the_order_of_files_does_not_matter_to_a_manifest(tmp_path: Path) -> None:
    files = write(tmp_path, {"b.csv": "id,x\n1,\n", "a.csv": "id,x\n1.5,2024-01-01\n", "c.csv": "id,x\n,\n"})
    orders = [files, files[::-1], files[1:] + files[:1]]
    assert len({describe("s", "u", None, order, sums(files), now=NOON) for order in orders}) == 1


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
        ({"a.csv": b"a\n1\n"}, "parqet", 'data.sales: "parqet" is not a format of data\n    did you mean "parquet"?'),
        ({"a.csv": b"a\n", "b.csv": b"a\n"}, "parquet", "none of its 2 files is named as parquet files are (*.parquet"),
        ({}, None, "data.sales: has no files"),
    ],
)
def test_bad_input(tmp_path: Path, files: dict[str, str | bytes], form: str | None, sentence: str) -> None:
    assert sentence in refused(tmp_path, files, form)


def test_parquet_files_of_other_types_are_told_apart(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "a.parquet": parquet({"id": [1], "x": ["a"]}),
        "b.parquet": parquet({"id": [1.5], "x": ["a"]}),
        "c.parquet": parquet({"id": [1]}),
    }
    assert refused(tmp_path, files) == (
        "data.sales: b.parquet: has another schema than a.parquet: id is float64 instead of int64\n"
        "    make each a dataset of its own (include, exclude)\n"
        "data.sales: c.parquet: has another schema than a.parquet: it lacks x\n"
        "    make each a dataset of its own (include, exclude)"
    )


def test_a_path_that_is_not_utf8_and_one_that_is_there_twice(tmp_path: Path) -> None:
    files = write(tmp_path, {"a.csv": CSV})
    with pytest.raises(UserError, match=r"has a file whose name is not UTF-8: 'b\\udcff.csv'"):
        describe("s", "u", None, [*files, ("b\udcff.csv", files[0][1])], {})
    with pytest.raises(UserError, match=r"has the path a\.csv twice"):
        describe("s", "u", None, files * 2, sums(files))


def test_what_is_beside_the_records_is_not_read(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"a.csv": CSV, "_old/b.csv": b"\xff", ".c.csv": b"\xff", "_SUCCESS": b""}
    assert described(tmp_path, files).record_count == 2


def test_header_only_and_empty_lines(tmp_path: Path) -> None:
    assert described(tmp_path, {"a.csv": "a,b"}).record_count == 0
    assert described(tmp_path, {"a.csv": "a,b\n"}).record_count == 0
    empty = described(tmp_path / "other", {"a.jsonl": ""})
    assert (empty.record_count, empty.schema_hash) == (0, schema_hash(()))


def test_without_pyarrow_the_command_to_get_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MachineError) as caught:
        described(tmp_path, {"a.csv": CSV})
    assert str(caught.value) == (
        "to read datasets, nixgen needs pyarrow, which is not installed\n"
        "    install nixgen with it: uv tool install 'nixgen[data]' (or: pip install 'nixgen[data]')"
    )
    assert described(tmp_path / "json", {"a.jsonl": '{"a": 1}'}).record_count == 1


def test_pyarrow_is_not_imported_early() -> None:
    code = "import sys, nixgen.data.compare, nixgen.data.render; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="proc(5) tells the peak of one program")
@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, form: str) -> None:
    """96 MB are read with at most 40 MB more than 3 MB are."""
    program = (
        "import re, sys\n"
        "from pathlib import Path\n"
        "from nixgen.data import snapshot\n"
        "snapshot.read(*snapshot.of_path(Path(sys.argv[1]), 'x'))\n"
        # Not getrusage: its peak is kept over the start of another program, so it would be that of the tests.
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
    )
    peaks = []
    for rows in (20_000, 20_000 * 32):
        path = tmp_path / f"{rows}.{form}"
        if form == "parquet":
            block = pa.table({"id": pa.array(range(20_000)), "text": [f"{n:0130d}" for n in range(20_000)]})
            with arrow("parquet").ParquetWriter(path, block.schema, compression="none", use_dictionary=False) as writer:
                for _ in range(rows // 20_000):
                    writer.write_table(block)
        else:
            line = ",{:0140d}\n" if form == "csv" else '"id": 1, "text": "{:0130d}"'
            with path.open("w") as opened:
                opened.write("id,text\n" if form == "csv" else "")
                for n in range(rows):
                    opened.write(f"{n}{line.format(n)}" if form == "csv" else f"{{{line.format(n)}}}\n")
        done = subprocess.run([sys.executable, "-c", program, path], check=True, capture_output=True, text=True)
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 40_000, peaks
