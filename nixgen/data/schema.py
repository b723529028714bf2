"""The schema of a dataset in words that belong to no library, and its hash. docs/data.md defines both."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nixgen.data.arrow import arrow
from nixgen.errors import Problem, UserError

DataType = str | tuple[Any, ...]
"""A type: a word ("int64", "timestamp[us, UTC]"), or for what is nested a tuple:

``("list", item, nullable)`` or with a fixed length ``("list", item, nullable, length)``; ``("struct", (name, type,
nullable), …)``; ``("map", key, value, nullable)``; ``("union", (name, type, nullable), …)``.
"""

DEEPEST = 100
"""So deep may a type be nested."""

_LONGEST = 200  # characters in a sentence
_TOLD = 10  # differences
_WORDS = {
    "halffloat": "float16",
    "float": "float32",
    "double": "float64",
    "month_day_nano_interval": "interval",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, its type, and whether it may hold (CSV and JSON lines: holds) nulls."""

    name: str
    type: DataType
    nullable: bool

    def __str__(self) -> str:
        return self.name + ": " + self.type_text

    @property
    def type_text(self) -> str:
        """The type for people: "list<struct<a: int64>>?"; the question mark says nullable."""
        return type_text(self.type, nullable=self.nullable)


Schema = tuple[Column, ...]


def check_names(names: Sequence[str]) -> None:
    """Raises ValueError when a column's name is there twice."""
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        more = f" and {len(twice) - 1} more" if len(twice) > 1 else ""
        raise ValueError(f"it has two columns named {shortened(repr(twice[0]))}{more}")


def schema_hash(schema: Schema) -> str:
    """SHA-256, hexadecimal, of the schema as compact JSON: [[name, type, nullable], …], in ASCII."""
    rows = [[column.name, column.type, column.nullable] for column in schema]
    return hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode("ascii")).hexdigest()


def shortened(text: str) -> str:
    """A name or type for a sentence, which a table of thousands of columns may not fill."""
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def type_text(kind: DataType, *, nullable: bool = False) -> str:
    """A type as people read it."""
    mark = "?" if nullable else ""
    if isinstance(kind, str):
        return kind + mark
    head, *rest = kind
    if head == "list":
        length = f", {rest[2]}" if len(rest) > 2 else ""  # noqa: PLR2004 -- item, nullable, length
        return f"list<{type_text(rest[0], nullable=rest[1])}{length}>{mark}"
    if head == "map":
        return f"map<{type_text(rest[0])}, {type_text(rest[1], nullable=rest[2])}>{mark}"
    fields = ", ".join(f"{name}: {type_text(inner, nullable=maybe)}" for name, inner, maybe in rest)
    return f"{head}<{fields}>{mark}"


def from_arrow(schema: Any) -> Schema:  # noqa: ANN401 -- a pyarrow.Schema
    """The schema of a Parquet or Arrow file; ``schema`` is a pyarrow.Schema."""
    return tuple(Column(*_field(field)) for field in schema)


def merge(
    schemas: Sequence[tuple[str, Schema]], where: str, widen: Callable[[DataType, DataType], DataType] | None = None
) -> Schema:
    """The one schema of all files, given with their paths: same names, types and order; nullable where any file is.

    ``widen`` gives the type that holds two others, for formats whose types are found by looking; without it, types
    must be equal. Raises UserError with every difference to the first file.
    """
    if not schemas:
        return ()
    first, common = schemas[0]
    problems: list[Problem] = []
    for path, schema in schemas[1:]:
        differences = list(_differences(common, schema, types=widen is None))
        if differences:
            more = f"; and {len(differences) - _TOLD} more" if len(differences) > _TOLD else ""
            what = f"has another schema than {first}: {'; '.join(differences[:_TOLD])}{more}"
            problems.append(Problem(f"{where}: {path}", what, "make each a dataset of its own (include, exclude)"))
            continue
        common = tuple(
            Column(old.name, widen(old.type, new.type) if widen else old.type, old.nullable or new.nullable)
            for old, new in zip(common, schema, strict=True)
        )
    if problems:
        raise UserError(problems)
    return common


def _differences(old: Schema, new: Schema, *, types: bool) -> Iterator[str]:
    before, after = ({column.name: column.type for column in schema} for schema in (old, new))
    yield from (f"it lacks {shortened(name)}" for name in before if name not in after)
    yield from (f"it has {shortened(name)} besides" for name in after if name not in before)
    for name in before:
        if types and name in after and before[name] != after[name]:
            now, then = shortened(type_text(after[name])), shortened(type_text(before[name]))
            yield f"{shortened(name)} is {now} instead of {then}"
    if [column.name for column in old] != [column.name for column in new] and before.keys() == after.keys():
        yield "its columns stand in another order"


def _field(field: Any, depth: int = 0) -> tuple[str, DataType, bool]:  # noqa: ANN401 -- a pyarrow.Field
    return field.name, _type(field.type, depth), field.nullable


def _type(kind: Any, depth: int) -> DataType:  # noqa: ANN401 -- a pyarrow.DataType
    types = arrow("types")
    if depth > DEEPEST:
        raise ValueError(f"a type in it is nested more than {DEEPEST} deep")
    while True:  # how values are packed is not what they are
        if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
            kind = kind.value_type
        elif hasattr(kind, "storage_type"):
            kind = kind.storage_type
        else:
            break
    if types.is_nested(kind):
        return _nested(kind, types, depth + 1)
    if types.is_decimal(kind):
        return f"decimal({kind.precision}, {kind.scale})"
    if types.is_fixed_size_binary(kind):
        return f"binary({kind.byte_width})"
    text = "date" if types.is_date(kind) else str(kind)
    if types.is_timestamp(kind):
        text = f"timestamp[{kind.unit}, {kind.tz}]" if kind.tz else f"timestamp[{kind.unit}]"
    elif types.is_time(kind):
        text = f"time[{kind.unit}]"
    return _WORDS.get(text, text.removeprefix("large_").removesuffix("_view"))


def _nested(kind: Any, types: Any, depth: int) -> DataType:  # noqa: ANN401 -- a pyarrow.DataType, pyarrow.types
    if types.is_map(kind):
        return ("map", _type(kind.key_type, depth), _type(kind.item_type, depth), kind.item_field.nullable)
    if types.is_struct(kind) or types.is_union(kind):
        head = "struct" if types.is_struct(kind) else "union"
        return (head, *(_field(kind.field(number), depth) for number in range(kind.num_fields)))
    length = (kind.list_size,) if types.is_fixed_size_list(kind) else ()
    return ("list", _type(kind.value_type, depth), kind.value_field.nullable, *length)
