"""Parquet and Arrow files: they say what they hold, so a scan reads little more than their ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nixgen.data.arrow import arrow
from nixgen.data.model import ROWS, Scan
from nixgen.data.schema import Schema, check_names, from_arrow

_MAGIC = b"ARROW1"  # the file form; without it, the stream form
_FEATHER_1 = b"FEA1"
_BUFFER = 1 << 20  # bytes that are read of a Parquet column at once
_BLOCK = 32 << 20  # bytes of a block of rows
_FEWEST = 16  # rows of one


def scan_parquet(file: Path) -> Scan:
    """The footer's number of rows and schema."""
    with _parquet(file) as opened:
        return Scan(opened.metadata.num_rows, _named(from_arrow(opened.schema_arrow)))


def parquet_batches(file: Path) -> Iterator[Mapping[str, Any]]:
    """Blocks of rows, of as many as take some _BLOCK bytes; columns with few values as dictionaries."""
    with _parquet(file) as opened:
        metadata = opened.metadata
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        size, small = sum(group.total_byte_size for group in groups), _with_dictionaries(groups)
    rows = min(ROWS, max(_FEWEST, _BLOCK * metadata.num_rows // max(size, 1)))
    with _parquet(file, small) as opened:
        for batch in opened.iter_batches(batch_size=rows, use_threads=False):
            yield _columns(batch)


def _with_dictionaries(groups: Sequence[Any]) -> list[str]:
    """The columns that stay dictionaries in memory: one value of 100 KB, 30,000 times, is 3 GB otherwise.

    Not those whose dictionary may be large: of a column with as many values as rows it has them all. Nor those in lists
    and structs (``a.list.element``): there Arrow can read dictionaries of one piece only.
    """
    found: dict[str, bool] = {}
    for group in groups:
        for number in range(group.num_columns):
            column = group.column(number)
            fits = column.has_dictionary_page and column.total_uncompressed_size <= _BLOCK
            fits = fits and column.physical_type == "BYTE_ARRAY" and "." not in column.path_in_schema
            found[column.path_in_schema] = found.get(column.path_in_schema, True) and fits
    return [path for path, fits in found.items() if fits]


def scan_arrow(file: Path) -> Scan:
    """The schema, and the rows of all record batches (mapped, so their values are not read)."""
    with _mapped(file) as source:
        reader = _reader(file, source)
        return Scan(sum(batch.num_rows for batch in _each(reader)), _named(from_arrow(reader.schema)))


def arrow_batches(file: Path) -> Iterator[Mapping[str, Any]]:
    """Blocks of rows."""
    with _mapped(file) as source:
        for batch in _each(_reader(file, source)):
            batch.validate(full=True)  # offsets that lead out of the file would end the process
            for start in range(0, batch.num_rows, ROWS):
                yield _columns(batch.slice(start, ROWS))


def _parquet(file: Path, dictionaries: Sequence[str] = ()) -> Any:  # noqa: ANN401 -- a pyarrow.parquet.ParquetFile
    opened = arrow("parquet").ParquetFile
    return opened(str(file), buffer_size=_BUFFER, pre_buffer=False, read_dictionary=dictionaries or None)


def _mapped(file: Path) -> Any:  # noqa: ANN401 -- a pyarrow.NativeFile
    if not file.stat().st_size:
        raise ValueError("it is empty")
    return arrow().memory_map(str(file))


def _reader(file: Path, source: Any) -> Any:  # noqa: ANN401 -- a reader of pyarrow.ipc
    with file.open("rb") as opened:
        magic = opened.read(len(_MAGIC))
    if magic.startswith(_FEATHER_1):
        raise ValueError("it is in Feather's version 1, which Arrow's files came after")
    return arrow("ipc").open_file(source) if magic == _MAGIC else arrow("ipc").open_stream(source)


def _each(reader: Any) -> Iterator[Any]:  # noqa: ANN401 -- a reader of pyarrow.ipc
    if hasattr(reader, "num_record_batches"):
        return (reader.get_batch(number) for number in range(reader.num_record_batches))
    return iter(reader)


def _columns(batch: Any) -> Mapping[str, Any]:  # noqa: ANN401 -- a pyarrow.RecordBatch
    return dict(zip(batch.schema.names, batch.columns, strict=True))


def _named(schema: Schema) -> Schema:
    check_names([column.name for column in schema])
    return schema
