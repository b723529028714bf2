"""Reading the files of a dataset in blocks: first what is in them (``scan``), then their columns (``batches``)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nixgen.data.model import Scan
from nixgen.data.schema import Schema, merge
from nixgen.errors import MachineError, NixgenError, UserError


def scan(format_name: str, path: str, file: Path, where: str) -> Scan:
    """The number of records and the schema of one file; ``path`` is its name within the dataset ``where``.

    Raises UserError, with the row or line where it is known, for a file that cannot be read as this format.
    """
    from nixgen.data import columnar, csvfile, jsonfile

    with reading(f"{where}: {path}", format_name):
        if format_name == "parquet":
            return columnar.scan_parquet(file)
        if format_name == "arrow":
            return columnar.scan_arrow(file)
        if format_name == "jsonl":
            return jsonfile.scan(path, file, f"{where}: {path}")
        return csvfile.scan(path, file, f"{where}: {path}", format_name)


def unify(format_name: str, schemas: Sequence[tuple[str, Schema]], where: str) -> Schema:
    """The one schema of a dataset's files, given with their paths.

    Parquet and Arrow files say their types: they must be the same. In CSV and JSON lines the types are found by looking
    at the values, so it is as if the files were one. Raises UserError with what does not go together.
    """
    from nixgen.data import csvfile, jsonfile

    if format_name == "jsonl":
        return jsonfile.unify(schemas, where)
    return merge(schemas, where, csvfile.widen if format_name in {"csv", "tsv"} else None)


def batches(format_name: str, path: str, file: Path, where: str, schema: Schema) -> Iterator[Mapping[str, Any]]:
    """The columns of one file, block by block, as Arrow arrays; ``schema`` is that of the whole dataset.

    Nulls may be left out, and columns that have nothing else in a block. Whole numbers may come as lists. Of lists and
    maps in JSON come the lengths, of structs that they are there. Raises UserError as ``scan`` does.
    """
    from nixgen.data import columnar, csvfile, jsonfile

    with reading(f"{where}: {path}", format_name):
        if format_name == "parquet":
            yield from columnar.parquet_batches(file)
        elif format_name == "arrow":
            yield from columnar.arrow_batches(file)
        elif format_name == "jsonl":
            yield from jsonfile.batches(path, file, f"{where}: {path}", schema)
        else:
            yield from csvfile.batches(path, file, f"{where}: {path}", format_name, schema)


@contextmanager
def reading(where: str, format_name: str) -> Iterator[None]:
    """Turns what the libraries raise on a broken file into one sentence."""
    try:
        yield
    except NixgenError:
        raise
    except PermissionError as error:
        raise MachineError.of(where, f"cannot be read: {error.strerror}", "make it readable") from None
    except FileNotFoundError:
        raise UserError.of(where, "is not there") from None
    except MemoryError:
        raise MachineError.of(where, "takes more memory than there is", "write it in smaller blocks or rows") from None
    except RecursionError:
        raise UserError.of(where, "has types that are nested too deeply") from None
    except (OSError, EOFError, zlib.error, ValueError, NotImplementedError, LookupError) as error:  # Arrow has its own
        words = " ".join(str(error).split()).rstrip(".")
        mend = "get the file again when it was cut off, or set the format that it has"
        raise UserError.of(where, f"is not {_ARTICLE[format_name]} that can be read: {words}", mend) from None


_ARTICLE = {
    "parquet": "a Parquet file",
    "arrow": "an Arrow file",
    "jsonl": "a file of JSON lines",
    "csv": "a CSV file",
    "tsv": "a TSV file",
}
