"""The manifest of a dataset: its hashes, and what they do and do not depend on."""

from __future__ import annotations

import gzip
import hashlib
import random
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from datafiles import arrow_file, described, parquet, sums, write
from hypothesis import given
from hypothesis import strategies as st
from support.datasets import CSV, refused

from nixgen.data.arrow import arrow
from nixgen.data.manifest import content_hash, describe
from nixgen.data.schema import Column, schema_hash
from nixgen.errors import MachineError, UserError
from nixgen.machine import extras

PAGE = Path(__file__).parents[2] / "docs" / "data.md"
NOON = datetime(2026, 7, 31, 12, tzinfo=UTC)


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


def test_parquet_files_of_other_types_are_told_apart(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "a.parquet": parquet({"id": [1], "x": ["a"]}),
        "b.parquet": parquet({"id": [1.5], "x": ["a"]}),
        "c.parquet": parquet({"id": [1]}),
    }
    assert refused(tmp_path, files) == (
        "data.sales: b.parquet: has another schema than a.parquet: id is float64 instead of int64\n"
        "  hint: make each a dataset of its own (include, exclude)\n"
        "data.sales: c.parquet: has another schema than a.parquet: it lacks x\n"
        "  hint: make each a dataset of its own (include, exclude)"
    )


def test_a_path_that_is_not_utf8_and_one_that_is_there_twice(tmp_path: Path) -> None:
    files = write(tmp_path, {"a.csv": CSV})
    with pytest.raises(UserError, match=r"has a file whose name is not UTF-8: 'b\\udcff.csv'"):
        describe("s", "u", None, [*files, ("b\udcff.csv", files[0][1])], {})
    with pytest.raises(UserError, match=r"has the path a\.csv twice"):
        describe("s", "u", None, files * 2, sums(files))


def test_without_pyarrow_the_command_to_get_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    arrow.cache_clear()
    with pytest.raises(MachineError) as caught:
        described(tmp_path, {"a.csv": CSV})
    assert str(caught.value) == (
        f"to read datasets, nixgen needs pyarrow, which is not installed\n  hint: {extras.install('data')}"
    )
    assert described(tmp_path / "json", {"a.jsonl": '{"a": 1}'}).record_count == 1


def test_pyarrow_is_not_imported_early() -> None:
    code = "import sys, nixgen.models.datadiff, nixgen.data.render; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
