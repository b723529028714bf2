"""JSON lines, read by the standard library: each value says its type, whatever block it is in."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from nixgen.data.arrow import arrow
from nixgen.data.model import Scan
from nixgen.data.packed import open_text
from nixgen.data.schema import DEEPEST, Column, DataType, Schema, shortened, type_text
from nixgen.errors import Problem, UserError

ROWS = 4096
LINE = 32 << 20  # bytes; a longer line is not read into memory

_BLOCK = 32 << 20  # bytes of memory that a block of records takes
_LARGEST = 160 << 20  # and that one record may take
_COSTS = {b"{": 184, b"[": 88, b",": 40, b":": 80, b'"': 14}  # bytes, of what each mark stands for
_SHORT, _WORST = 512, 30  # below so many bytes of a line counting marks takes longer than it saves; times its length
_FEW = 128  # so few whole numbers are added faster one by one than by Arrow

_INT64 = range(-(1 << 63), 1 << 63)
_NUMBERS = ("int64", "integer", "float64")  # each holds what those before it hold
_BOM = b"\xef\xbb\xbf"
_KINDS: dict[type, str] = {bool: "bool", str: "string", list: "list", dict: "struct"}
_Row = dict[str, Any]


class _MixedError(Exception):
    """Two values of one column have types that no type holds."""


class _Shape:
    """The narrowest type that holds all values which were seen at one place: records, a column, the items of lists.

    ``count`` of them are not null and ``nulls`` are; a field that fewer of its structs have may be null, too.
    """

    __slots__ = ("count", "fields", "item", "kind", "nulls")

    def __init__(self, kind: str, count: int = 0, nulls: int = 0) -> None:
        self.kind = kind
        self.count = count
        self.nulls = nulls
        self.item: _Shape | None = None
        self.fields: dict[str, _Shape] = {}

    @property
    def type(self) -> DataType:
        if self.kind == "struct":
            return ("struct", *self._types())
        return self.kind if self.item is None else ("list", self.item.type, self.item.nulls > 0)

    @property
    def columns(self) -> Schema:
        """The fields as columns."""
        return tuple(Column(*field) for field in self._types())

    def _types(self) -> Iterator[tuple[str, DataType, bool]]:
        for name, field in self.fields.items():
            yield name, field.type, field.nulls > 0 or field.count + field.nulls < self.count

    def check(self, other: _Shape) -> None:
        """Raises _MixedError when no type holds both."""
        if "null" in {self.kind, other.kind} or (self.kind in _NUMBERS and other.kind in _NUMBERS):
            return
        if self.kind != other.kind:
            raise _MixedError
        if self.item is not None and other.item is not None:
            self.item.check(other.item)
        for name in other.fields.keys() & self.fields.keys():
            self.fields[name].check(other.fields[name])

    def join(self, other: _Shape) -> None:
        """Adds what the other saw; ``check`` has passed. Takes parts of it, and as long as the other is large."""
        if self.kind == "null":
            self.kind, self.item, self.fields = other.kind, other.item, other.fields
        else:
            if self.kind in _NUMBERS and other.kind in _NUMBERS:
                self.kind = max(self.kind, other.kind, key=_NUMBERS.index)
            if self.item is not None and other.item is not None:
                self.item.join(other.item)
            for name, field in other.fields.items():
                if name in self.fields:
                    self.fields[name].join(field)
                else:
                    self.fields[name] = field
        self.count += other.count
        self.nulls += other.nulls


def scan(path: str, file: Path, where: str, rows: int = ROWS) -> Scan:
    """Counts the records, and finds each column's type: the narrowest that holds all values."""
    common = _Shape("struct")
    for block in _blocks(path, file, where, rows):
        try:
            found = _infer([row for _, row in block])
            common.check(found)
        except _MixedError:
            raise _first_mixed(common, block, where) from None
        common.join(found)
    return Scan(common.count, common.columns)


def batches(path: str, file: Path, where: str, schema: Schema, rows: int = ROWS) -> Iterator[Mapping[str, Any]]:
    """Blocks of rows, as the types that ``schema`` says, without nulls."""
    types = {column.name: column.type for column in schema}
    for block in _blocks(path, file, where, rows):
        yield {name: _array(values, types[name]) for name, values in _cells(row for _, row in block).items()}


def unify(schemas: Sequence[tuple[str, Schema]], where: str) -> Schema:
    """The schema of all files, as if they were one. Raises UserError for a column whose types do not go together."""
    common = _Shape("struct")
    problems: list[Problem] = []
    first = schemas[0][0]
    for path, schema in schemas:
        for column in schema:
            found = _of(column.type, nullable=column.nullable)
            old = common.fields.setdefault(column.name, _Shape("null"))
            try:
                old.check(found)
            except _MixedError:
                then, now = shortened(type_text(old.type)), shortened(column.type_text.removesuffix("?"))
                what = f"has {now} in {shortened(column.name)}, which is {then} in {first} and others"
                problems.append(Problem(f"{where}: {path}", what, "make each a dataset of its own (include, exclude)"))
            else:
                old.join(found)
        common.count += bool(schema)
    if problems:
        raise UserError(problems)
    return common.columns


def _of(kind: DataType, *, nullable: bool) -> _Shape:
    """The shape of one value of a type, and of a null where it may be one."""
    if isinstance(kind, str):
        return _Shape(kind, 1, int(nullable))
    shape = _Shape(kind[0], 1, int(nullable))
    if shape.kind == "list":
        shape.item = _of(kind[1], nullable=kind[2])
    else:
        shape.fields = {name: _of(inner, nullable=maybe) for name, inner, maybe in kind[1:]}
    return shape


def _infer(values: Sequence[Any]) -> _Shape:
    """The shape of values. Raises _MixedError. Takes as long as there are values in them, however many names."""
    kinds = set(map(type, values))
    nulls = sum(value is None for value in values) if type(None) in kinds else 0
    kinds.discard(type(None))
    shape = _Shape("null", len(values) - nulls, nulls)
    if not kinds:
        return shape
    if kinds <= {int, float}:
        shape.kind = "float64" if float in kinds else "int64" if _fits(values) else "integer"
        return shape
    if len(kinds) > 1:
        raise _MixedError
    kind = kinds.pop()
    shape.kind = _KINDS[kind]
    if kind is list:
        shape.item = _infer(list(chain.from_iterable(value for value in values if value is not None)))
    elif kind is dict:
        rows = (value for value in values if value is not None)
        shape.fields = {name: _infer(found) for name, found in _cells(rows, nulls=True).items()}
    return shape


def _fits(values: Sequence[int | None]) -> bool:
    whole = [value for value in values if value is not None]
    return min(whole) in _INT64 and max(whole) in _INT64


def _cells(rows: Iterable[_Row], *, nulls: bool = False) -> dict[str, list[Any]]:
    """The values of each column, nulls among them or not; names in the order in which they first appear."""
    found: dict[str, list[Any]] = {}
    for row in rows:
        for name, value in row.items():
            if value is not None or nulls:
                if name in found:
                    found[name].append(value)
                else:
                    found[name] = [value]
    return found


def _first_mixed(common: _Shape, block: Sequence[tuple[int, _Row]], where: str) -> UserError:
    """The line that does not go with those before it."""
    mend = 'give the column one type in every line, or pin the files without a schema: format = "files"'
    for number, row in block:
        try:
            found = _infer([row])
        except _MixedError:
            return UserError.of(f"{where}: line {number}", "has a list of values of different types", mend)
        for name, now in found.fields.items():
            then = common.fields.get(name, now)
            try:
                then.check(now)
            except _MixedError:
                had, has = shortened(type_text(then.type)), shortened(type_text(now.type))
                what = f"has {has} in {shortened(name)}, which is {had} in the lines before"
                return UserError.of(f"{where}: line {number}", what, mend)
        common.join(found)
    raise AssertionError("a block of mixed types has a line that makes it so")


def _array(values: list[Any], kind: DataType) -> Any:  # noqa: ANN401 -- a pyarrow.Array, or a list
    """Values without nulls; of lists their lengths."""
    if isinstance(kind, tuple):
        if kind[0] == "struct":
            return arrow().array([True] * len(values), arrow().bool_())
        values, kind = list(map(len, values)), "int64"
    if kind == "integer" or (kind == "int64" and len(values) < _FEW):
        return values
    pa = arrow()
    if kind == "float64":
        return pa.array(map(_float, values), pa.float64())
    return pa.array(values, {"int64": pa.int64(), "bool": pa.bool_()}.get(kind, pa.string()))


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number beyond 1.8e308
        return math.inf if value > 0 else -math.inf


def _blocks(path: str, file: Path, where: str, rows: int) -> Iterator[list[tuple[int, _Row]]]:
    """Records with their line numbers, some at a time: as many as ``rows`` or _BLOCK allow."""
    block: list[tuple[int, _Row]] = []
    size = 0
    for number, line in _lines(path, file, where):
        block.append((number, _record(line, f"{where}: line {number}")))
        size += _memory(line)
        if len(block) >= rows or size >= _BLOCK:
            yield block
            block, size = [], 0
    if block:
        yield block


def _lines(path: str, file: Path, where: str) -> Iterator[tuple[int, bytes]]:
    """The lines that hold records, with their numbers."""
    with open_text(path, file) as opened:
        number = 0
        while line := opened.readline(LINE + 1):
            number += 1
            if len(line) > LINE or _memory(line) > _LARGEST:
                what = f"is longer than {LINE >> 20} MiB" if len(line) > LINE else "holds too much for one record"
                mend = 'write one record to a line, or pin the files without a schema: format = "files"'
                raise UserError.of(f"{where}: line {number}", what, mend)
            if number == 1:
                line = line.removeprefix(_BOM)
                if line[:2] in {b"\xff\xfe", b"\xfe\xff"}:
                    raise UserError.of(where, "is UTF-16 text; nixgen reads UTF-8", f"iconv -f UTF-16 -t UTF-8 {path}")
            if line.strip():
                yield number, line


def _memory(line: bytes) -> int:
    """Bytes that the record may take at most, once it is parsed; of a short line, what the worst of them takes."""
    if len(line) < _SHORT:
        return len(line) * _WORST
    marks = sum(cost * line.count(mark) for mark, cost in _COSTS.items())
    copies = 4 if line.isascii() else 10  # bytes, text, value, column; one character makes a text four times as large
    return marks + len(line) * (copies + 4 * (b"\\u" in line))


def _record(line: bytes, place: str) -> _Row:
    mend = "mend the line, or get the file again when it was cut off"
    try:
        text = line.decode()
        value = json.loads(text)
        deep = line.count(b"[") + line.count(b"{") > DEEPEST and _deep(value)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError:
        raise UserError.of(place, "is not UTF-8", "convert the file to UTF-8: iconv") from None
    except UnicodeEncodeError:
        raise UserError.of(place, "has half of a surrogate pair, which is no character", mend) from None
    except json.JSONDecodeError as error:
        raise UserError.of(place, f"is not JSON: {error.msg} (column {error.colno})", mend) from None
    except RecursionError:
        deep, value = True, {}
    except ValueError:
        raise UserError.of(place, "has a number of too many digits", "write it as a string") from None
    if deep:
        raise UserError.of(place, "is nested too deeply", mend)
    if not isinstance(value, dict):
        what = f"holds {_WORDS[type(value)]}, and a record is an object"
        raise UserError.of(place, what, "write one object to a line: jq -c '.[]'" if isinstance(value, list) else mend)
    return value


def _deep(value: Any) -> bool:  # noqa: ANN401 -- of JSON
    """Whether it is nested more than DEEPEST deep."""
    level = [value]
    for _ in range(DEEPEST):
        inner = chain.from_iterable(one.values() if type(one) is dict else one for one in level)
        level = [one for one in inner if one and type(one) in {dict, list}]
        if not level:
            return False
    return True


_WORDS: dict[type, str] = {
    list: "a list",
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}
