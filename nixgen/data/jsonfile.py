"""JSON lines, read by the standard library: each value says its type, whatever block it is in."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from nixgen.data.arrow import arrow
from nixgen.data.reading import Scan, open_text
from nixgen.data.schema import Column, DataType, Schema, type_text
from nixgen.errors import Problem, UserError

ROWS = 4096
LINE = 64 << 20  # bytes; a longer line is not read into memory

_INT64 = range(-(1 << 63), 1 << 63)
_NUMBERS = ("int64", "integer", "float64")  # each holds what those before it hold
_BOM = b"\xef\xbb\xbf"
_Row = dict[str, Any]


class _MixedError(Exception):
    """Two values of one column have types that no type holds."""


def scan(path: str, file: Path, where: str, rows: int = ROWS) -> Scan:
    """Counts the records, and finds each column's type: the narrowest that holds all values."""
    count = 0
    common: DataType = ("struct",)
    for block in _blocks(path, file, where, rows):
        records = [row for _, row in block]
        try:
            found = infer(records)[0]
            common = found if not count else combine(common, found)
        except _MixedError:
            raise _first_mixed(common if count else None, block, where) from None
        count += len(records)
    return Scan(count, _columns(common))


def batches(path: str, file: Path, where: str, schema: Schema, rows: int = ROWS) -> Iterator[Mapping[str, Any]]:
    """Blocks of rows, as the types that ``schema`` says."""
    for block in _blocks(path, file, where, rows):
        yield {column.name: _array([row.get(column.name) for _, row in block], column.type) for column in schema}


def unify(schemas: Sequence[tuple[str, Schema]], where: str) -> Schema:
    """The schema of all files, as if they were one. Raises UserError for a column whose types do not go together."""
    common: dict[str, Column] = {}
    problems: list[Problem] = []
    first = schemas[0][0]
    for index, (path, schema) in enumerate(schema_ for schema_ in schemas if schema_[1]):
        found = {column.name: column for column in schema}
        for name in dict.fromkeys([*common, *found]):
            old, new = common.get(name), found.get(name)
            before = (old.type, old.nullable) if old else ("null", bool(index))
            after = (new.type, new.nullable) if new else ("null", True)
            try:
                common[name] = Column(name, combine(before[0], after[0]), before[1] or after[1])
            except _MixedError:
                what = f"has {type_text(after[0])} in {name}, which is {type_text(before[0])} in {first} and others"
                problems.append(Problem(f"{where}: {path}", what, "make each a dataset of its own (include, exclude)"))
    if problems:
        raise UserError(problems)
    return tuple(common.values())


def infer(values: Sequence[Any]) -> tuple[DataType, bool]:
    """The narrowest type that holds all values, and whether null is among them. Raises _MixedError."""
    kinds = set(map(type, values))
    nullable = type(None) in kinds
    kinds.discard(type(None))
    if not kinds:
        return "null", nullable
    if kinds <= {int, float}:
        if float in kinds:
            return "float64", nullable
        whole = [value for value in values if value is not None]
        return "int64" if min(whole) in _INT64 and max(whole) in _INT64 else "integer", nullable
    if len(kinds) > 1:
        raise _MixedError
    kind = kinds.pop()
    if kind is list:
        item, maybe = infer(list(chain.from_iterable(value for value in values if value is not None)))
        return ("list", item, maybe), nullable
    if kind is dict:
        there = [value for value in values if value is not None]
        names = dict.fromkeys(chain.from_iterable(there))
        return ("struct", *((name, *infer([value.get(name) for value in there])) for name in names)), nullable
    return ("bool" if kind is bool else "string"), nullable


def combine(old: DataType, new: DataType) -> DataType:
    """The narrowest type that holds what both hold. Raises _MixedError."""
    if new in {old, "null"}:
        return old
    if old == "null":
        return new
    if old in _NUMBERS and new in _NUMBERS:
        return max(old, new, key=_NUMBERS.index)
    if isinstance(old, str) or isinstance(new, str) or old[0] != new[0]:
        raise _MixedError
    if old[0] == "list":
        return ("list", combine(old[1], new[1]), old[2] or new[2])
    before, after = ({name: (kind, maybe) for name, kind, maybe in fields[1:]} for fields in (old, new))
    fields = []
    for name in dict.fromkeys(chain(before, after)):
        (first, maybe), (second, too) = before.get(name, ("null", True)), after.get(name, ("null", True))
        fields.append((name, combine(first, second), maybe or too))
    return ("struct", *fields)


def _first_mixed(common: DataType | None, block: Sequence[tuple[int, _Row]], where: str) -> UserError:
    """The line that does not go with those before it."""
    mend = 'give the column one type in every line, or pin the files without a schema: format = "files"'
    for number, row in block:
        try:
            found = infer([row])[0]
        except _MixedError:
            return UserError.of(f"{where}: line {number}", "has a list of values of different types", mend)
        try:
            common = found if common is None else combine(common, found)
        except _MixedError:
            old = {column.name: column.type for column in _columns(common)}
            for column in _columns(found):
                name, kind = column.name, column.type
                try:
                    combine(old.get(name, "null"), kind)
                except _MixedError:
                    what = f"has {type_text(kind)} in {name}, which is {type_text(old[name])} in the lines before"
                    return UserError.of(f"{where}: line {number}", what, mend)
    raise AssertionError("a block of mixed types has a line that makes it so")


def _columns(record: DataType | None) -> Schema:
    """The columns of records that have this type, which is a struct."""
    return tuple(Column(*field) for field in record[1:]) if isinstance(record, tuple) else ()


def _array(values: list[Any], kind: DataType) -> Any:  # noqa: ANN401 -- a pyarrow.Array, or a list
    pa = arrow()
    if kind == "integer":
        return values
    if isinstance(kind, tuple):
        if kind[0] == "list":
            return pa.array([None if value is None else len(value) for value in values], pa.int64())
        return pa.array([None if value is None else True for value in values], pa.bool_())
    if kind == "float64":
        return pa.array([None if value is None else _float(value) for value in values], pa.float64())
    return pa.array(values, {"int64": pa.int64(), "bool": pa.bool_(), "null": pa.null()}.get(kind, pa.string()))


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number beyond 1.8e308
        return math.copysign(math.inf, value)


def _blocks(path: str, file: Path, where: str, rows: int) -> Iterator[list[tuple[int, _Row]]]:
    """Records with their line numbers, some at a time; at least once, so that an empty file is read as such."""
    records = _records(path, file, where)
    while block := list(islice(records, rows)):
        yield block


def _records(path: str, file: Path, where: str) -> Iterator[tuple[int, _Row]]:
    with open_text(path, file) as opened:
        number = 0
        while line := opened.readline(LINE + 1):
            number += 1
            place = f"{where}: line {number}"
            if len(line) > LINE:
                mend = 'write one record to a line, or pin the files without a schema: format = "files"'
                raise UserError.of(place, f"is longer than {LINE >> 20} MiB", mend)
            if number == 1:
                line = line.removeprefix(_BOM)
                if line[:2] in {b"\xff\xfe", b"\xfe\xff"}:
                    raise UserError.of(where, "is UTF-16 text; nixgen reads UTF-8", f"iconv -f UTF-16 -t UTF-8 {path}")
            if line.strip():
                yield number, _record(line, place)


def _record(line: bytes, place: str) -> _Row:
    mend = "mend the line, or get the file again when it was cut off"
    try:
        text = line.decode()
        value = json.loads(text)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError:
        raise UserError.of(place, "is not UTF-8", "convert the file to UTF-8: iconv") from None
    except UnicodeEncodeError:
        raise UserError.of(place, "has half of a surrogate pair, which is no character", mend) from None
    except json.JSONDecodeError as error:
        raise UserError.of(place, f"is not JSON: {error.msg} (column {error.colno})", mend) from None
    except RecursionError:
        raise UserError.of(place, "is nested too deeply", mend) from None
    except ValueError:
        raise UserError.of(place, "has a number of too many digits", "write it as a string") from None
    if not isinstance(value, dict):
        what = f"holds {_WORDS[type(value)]}, and a record is an object"
        raise UserError.of(place, what, "write one object to a line: jq -c '.[]'" if isinstance(value, list) else mend)
    return value


_WORDS: dict[type, str] = {
    list: "a list",
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}
