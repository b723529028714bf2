"""Datasets for tests: files as text or bytes, and as Parquet and Arrow."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from nixgen.data.manifest import describe
from nixgen.data.model import DataManifest


def write(folder: Path, files: Mapping[str, str | bytes]) -> list[tuple[str, Path]]:
    """Writes files, and says what and where they are, as ``describe`` takes it."""
    found = []
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        found.append((name, path))
    return found


def sums(files: list[tuple[str, Path]]) -> dict[str, str]:
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files}


def described(folder: Path, files: Mapping[str, str | bytes], form: str | None = None, **options: Any) -> DataManifest:
    written = write(folder, files)
    return describe("sales", "file:sales", form, written, sums(written), **options)


def parquet(columns: Mapping[str, Any] | pa.Table, *, whole: bool = False) -> bytes:
    table = columns if isinstance(columns, pa.Table) else pa.table(dict(columns))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=None if whole else 2, store_schema=not whole)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def arrow_file(columns: Mapping[str, Any], *, stream: bool = False) -> bytes:
    table = pa.table(dict(columns))
    sink = pa.BufferOutputStream()
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]
