"""CSV and TSV. They have no types: those are found by looking at every value, with the rules of docs/data.md."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from csv import Error, reader
from pathlib import Path
from typing import Any

from nixgen.data.arrow import arrow
from nixgen.data.model import Scan
from nixgen.data.packed import open_text
from nixgen.data.schema import Column, DataType, Schema, check_names
from nixgen.errors import UserError

BLOCKS = (256 << 10, 2 << 20, 16 << 20)
"""Bytes of a block. A row must fit in one; the next size is for files that have a longer row.

Arrow reads some thirty blocks ahead, so small ones keep memory flat.
"""

_DELIMITERS = {"csv": ",", "tsv": "\t"}
_UTF8 = "convert the file to UTF-8: iconv"
_EMPTY = "is empty: a CSV file begins with a line of column names"
_INT64_DIGITS = 18  # so many characters always fit
_COLUMNS = 100_000
_AT_ONCE = 5000  # columns
_DIGITS = 1000  # of a whole number
_FEW = 64  # so few values are matched faster by Python
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
_PATTERNS = {  # narrowest first; leading zeros and plus signs make codes and telephone numbers, not numbers
    "bool": r"^(?:true|false|True|False|TRUE|FALSE)$",
    "integer": r"^-?(?:0|[1-9][0-9]*)$",
    "float64": r"^(?:-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|-?[iI]nf|[nN]a[nN])$",
    "date": rf"^{_DAY}$",
    "timestamp[us]": rf"^{_DAY}[T ]{_TIME}$",
    "timestamp[us, UTC]": rf"^{_DAY}[T ]{_TIME}(?:Z|[+-][0-9]{{2}}:[0-9]{{2}})$",
}


def scan(path: str, file: Path, where: str, format_name: str, blocks: Sequence[int] = BLOCKS) -> Scan:
    """Counts the rows behind the header, and finds each column's type."""
    names, blocks = _names(path, file, where, format_name, blocks)
    guesses = {name: _Guess() for name in names}
    rows = 0
    for group in _groups(names):
        rows = 0
        for batch in _read(path, file, where, format_name, blocks, group):
            rows += batch.num_rows
            for name, array in zip(group, batch.columns, strict=True):
                guesses[name].see(array)
    return Scan(rows, tuple(Column(name, guess.type, guess.nullable) for name, guess in guesses.items()))


def batches(
    path: str, file: Path, where: str, format_name: str, schema: Schema, blocks: Sequence[int] = BLOCKS
) -> Iterator[Mapping[str, Any]]:
    """Blocks of rows, as the types that ``schema`` says; of some columns at a time, where there are thousands."""
    types = {column.name: column.type for column in schema}
    names, blocks = _names(path, file, where, format_name, blocks)
    for group in _groups(names):
        for batch in _read(path, file, where, format_name, blocks, group):
            yield {name: _typed(array, types[name]) for name, array in zip(group, batch.columns, strict=True)}


def widen(old: DataType, new: DataType) -> DataType:
    """The type that a column has whose one half has the type ``old`` and the other ``new``."""
    if new in {old, "null"}:
        return old
    if old == "null":
        return new
    numbers = ("int64", "integer", "float64")
    return max(old, new, key=numbers.index) if old in numbers and new in numbers else "string"


class _Guess:
    """The type of a column by the values that were seen of it."""

    def __init__(self) -> None:
        self.nullable = False
        self._seen = False
        self._wide = False
        self._left = list(_PATTERNS)

    @property
    def type(self) -> DataType:
        if not self._seen:
            return "null"
        found = self._left[0] if self._left else "string"
        return "int64" if found == "integer" and not self._wide else found

    def see(self, array: Any) -> None:  # noqa: ANN401 -- an array of strings
        self.nullable |= bool(array.null_count)
        values = array.drop_null()
        if not len(values):
            return
        self._seen = True
        self._left = [name for name in self._left if self._fits(name, values)]

    def _fits(self, name: str, values: Any) -> bool:  # noqa: ANN401 -- an array of strings
        pa, compute = arrow(), arrow("compute")
        if not _matches(name, values):
            return False
        if name == "integer":
            long = values.filter(compute.greater(compute.binary_length(values), _INT64_DIGITS)).to_pylist()
            if any(len(value.removeprefix("-")) > _DIGITS for value in long):
                return False
            self._wide = self._wide or any(not -(1 << 63) <= int(value) < 1 << 63 for value in long)
        if name.startswith(("date", "timestamp")):
            try:
                compute.cast(values, _arrow_type(name))  # the 30th of February looks like a date
            except pa.ArrowInvalid:
                return False
        return True


def _matches(name: str, values: Any) -> bool:  # noqa: ANN401 -- an array of strings without nulls
    pattern = re.compile(_PATTERNS[name][1:-1])
    few = values if len(values) <= _FEW else values.slice(0, 1)
    if not all(pattern.fullmatch(value) for value in few.to_pylist()):
        return False
    compute = arrow("compute")
    return len(few) == len(values) or compute.all(compute.match_substring_regex(values, _PATTERNS[name])).as_py()


def _arrow_type(name: DataType) -> Any:  # noqa: ANN401 -- a pyarrow.DataType
    pa = arrow()
    return {
        "null": pa.string(),
        "bool": pa.bool_(),
        "int64": pa.int64(),
        "float64": pa.float64(),
        "date": pa.date32(),
        "timestamp[us]": pa.timestamp("us"),
        "timestamp[us, UTC]": pa.timestamp("us", "UTC"),
        "string": pa.string(),
    }[str(name)]


def _typed(array: Any, kind: DataType) -> Any:  # noqa: ANN401 -- an array of strings; an array, or a list
    if kind == "integer":
        return [None if value is None else int(value) for value in array.to_pylist()]
    return array.cast(_arrow_type(kind))


class _TooLongError(Exception):
    """A row does not fit in a block."""


def _groups(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """The columns that are read at once: Arrow takes 9 KB of memory for each, however short its values are."""
    return (names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE))


def _read(
    path: str, file: Path, where: str, format_name: str, blocks: Sequence[int], names: Sequence[str]
) -> Iterator[Any]:
    """These columns of the rows as record batches of strings; an empty field without quotes is null."""
    done = 0
    for block in blocks:
        passed = 0
        try:
            for batch in _read_once(path, file, where, format_name, block, names):
                passed += batch.num_rows
                if passed > done:
                    yield batch.slice(batch.num_rows - (passed - done))
                    done = passed
        except _TooLongError:
            continue
        return
    raise _too_long(where, blocks)


def _too_long(where: str, blocks: Sequence[int]) -> UserError:
    what = f"has a row of more than {blocks[-1] >> 20} MiB, or a quotation mark that is never closed"
    return UserError.of(where, what, "close the quotes, or use another format: parquet, jsonl")


def _read_once(path: str, file: Path, where: str, format_name: str, block: int, names: Sequence[str]) -> Iterator[Any]:
    pa, csv = arrow(), arrow("csv")
    parse = csv.ParseOptions(delimiter=_DELIMITERS[format_name], newlines_in_values=True)
    convert = csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        include_columns=names,
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    options = csv.ReadOptions(use_threads=False, block_size=block)
    last = None
    with open_text(path, file) as opened, _Quotes(opened) as counted, io.BufferedReader(counted, block) as source:
        try:
            with csv.open_csv(source, read_options=options, parse_options=parse, convert_options=convert) as opened_csv:
                for batch in opened_csv:
                    last = batch if batch.num_rows else last
                    yield batch
        except pa.ArrowInvalid as error:
            raise _problem(where, str(error)) from None
    if counted.quotes % 2 and last is not None:
        end = last.column(last.num_columns - 1)[-1].as_py()
        if end is not None and "\n" in end:
            mend = "close it, or get the file again when it was cut off"
            raise UserError.of(where, "ends within quotes: a quotation mark is opened and never closed", mend)


def _names(
    path: str, file: Path, where: str, format_name: str, blocks: Sequence[int]
) -> tuple[list[str], Sequence[int]]:
    """The names of the columns, each there once; and the blocks that they fit in."""
    for number, block in enumerate(blocks):
        try:
            names = _header(path, file, where, format_name, block)
        except _TooLongError:
            continue
        check_names(names)
        return names, blocks[number:]
    raise _too_long(where, blocks)


def _header(path: str, file: Path, where: str, format_name: str, block: int) -> list[str]:
    pa, csv = arrow(), arrow("csv")
    with open_text(path, file) as opened:
        start = opened.read(block)
    if start[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        raise UserError.of(where, "is UTF-16 text; nixgen reads UTF-8", f"iconv -f UTF-16 -t UTF-8 {path}")
    start = start.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    if not start:
        raise UserError.of(where, _EMPTY, "leave it out: exclude")
    line, delimiter = start.partition(b"\n")[0], _DELIMITERS[format_name]
    if len(line) >= block - 5 and b"\r" not in line:
        raise _TooLongError
    if line.count(delimiter.encode()) >= _COLUMNS:
        raise UserError.of(where, f"has more than {_COLUMNS} columns", "use another format: parquet, jsonl")
    if line.count(delimiter.encode()) >= _AT_ONCE:
        try:
            return next(reader([line.decode()], delimiter=delimiter, strict=True))
        except Error as error:
            raise UserError.of(f"{where}: row 1", f"is no row of names: {error}") from None
        except UnicodeDecodeError:
            raise UserError.of(f"{where}: row 1", "is not UTF-8", _UTF8) from None
    options = csv.ReadOptions(use_threads=False, block_size=block)
    parse = csv.ParseOptions(delimiter=_DELIMITERS[format_name], newlines_in_values=True)
    try:
        with (
            open_text(path, file) as opened,
            io.BufferedReader(_Quotes(opened), block) as source,
            csv.open_csv(source, read_options=options, parse_options=parse) as opened_csv,
        ):
            names: list[str] = opened_csv.schema.names
    except UnicodeDecodeError:
        raise UserError.of(f"{where}: row 1", "is not UTF-8", _UTF8) from None
    except pa.ArrowInvalid as error:
        raise _problem(where, str(error)) from None
    return names


def _problem(where: str, words: str) -> UserError:
    """Arrow's words as ours. It counts rows from the header, which is row 1. Raises _TooLongError."""
    found = re.search(r"Row #([0-9]+): (.*)", words, re.DOTALL)
    place = f"{where}: row {found[1]}" if found else where
    words = " ".join((found[2] if found else words).split())
    if "invalid UTF8" in words:
        return UserError.of(place, "is not UTF-8", _UTF8)
    if "straddling" in words:
        raise _TooLongError
    if "Empty CSV file" in words:
        return UserError.of(where, _EMPTY, "leave it out: exclude")
    if counts := re.search(r"Expected ([0-9]+) columns, got ([0-9]+)", words):
        what = f"has {counts[2]} fields, and the header has {counts[1]}"
        return UserError.of(place, what, "put fields with separators in quotation marks, or mend the row")
    return UserError.of(place, words, "mend the row, or get the file again when it was cut off")


class _Quotes(io.RawIOBase):
    """Counts the quotation marks that pass through, and ends the last line where that was not done."""

    def __init__(self, source: io.BufferedIOBase) -> None:
        self._source = source
        self._last = b""
        self.quotes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 -- any writable buffer
        data = self._source.read(len(buffer))
        if not data and self._last not in {b"", b"\n"}:
            data = b"\n"
        self._last = data[-1:]
        self.quotes += data.count(b'"')
        buffer[: len(data)] = data
        return len(data)
