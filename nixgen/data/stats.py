"""What the values of a column are like: counts, and for what has an order or a length, how it is spread."""

from __future__ import annotations

import hashlib
import math
import struct
from collections import Counter
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any, Literal

from nixgen.data.arrow import arrow
from nixgen.data.schema import Column, DataType
from nixgen.data.sketch import BINS, Sketch

PERCENTS = (5, 25, 50, 75, 95)
"""The quantiles that are computed."""

Value = int | float | bool | str | None

_SIGN = 0x7FFF_FFFF_FFFF_FFFF
_MANTISSA = 52  # bits of a float64's fraction
_HALF = 26
_EXPONENT = 0x7FF
_EXACT = Context(prec=100)  # digits; Arrow's decimals have at most 76
_FEW = 64  # so few values are counted faster by Python
_ONE = 1074  # a float64 is a multiple of 2 ** -1074


@dataclass(frozen=True, slots=True)
class ColumnStatistics:
    """A column's values. ``count`` are those that are not null; ``nans`` of them are not numbers, and not measured.

    ``measured`` says what minimum, maximum, mean and quantiles are of: the values, their lengths (of strings in
    characters, of bytes, of lists and maps in items), or nothing. ``distinct`` counts different values (of lists:
    lengths), None for more than 4096. Quantiles are (percent, value). They are exact when ``dropped_bits`` is 0;
    docs/data.md says how far off they can be otherwise. Dates and times are text, and their mean is rounded down.
    """

    name: str
    count: int
    nulls: int
    nans: int = 0
    measured: Literal["values", "lengths", "nothing"] = "nothing"
    distinct: int | None = 0
    minimum: Value = None
    maximum: Value = None
    mean: Value = None
    quantiles: tuple[tuple[int, Value], ...] = ()
    dropped_bits: int = 0


class Accumulator:
    """Takes the blocks of one column, and gives its statistics."""

    def __init__(self, column: Column) -> None:
        self._name = column.name
        self._kind = _Kind(column.type)
        self._sketch = Sketch()
        self._distinct: set[bytes] | None = set()
        self._count = self._nans = 0
        self._total = 0  # of the keys; of floats in units of 2 ** -1074
        self._infinite: list[float] = []

    def add(self, values: Any) -> None:  # noqa: ANN401 -- a pyarrow.Array, or a list of integers and None
        """A block of values, of which nulls may be left out."""
        if isinstance(values, list):
            there = [value for value in values if value is not None]
            self._count += len(there)
            self._add_whole(there)
            return
        kind = self._kind
        if kind.hashed and arrow("types").is_dictionary(values.type) and not values.dictionary.null_count:
            self._add_coded(values.indices.drop_null(), values.dictionary)
            return
        values = kind.plain(values)
        self._count += len(values) - values.null_count
        if kind.measured == "nothing" or values.null_count == len(values):
            return
        values = values.drop_null()
        if kind.hashed:
            self._add_distinct(values)
        if kind.name == "decimal":
            self._add_whole([int(value.scaleb(kind.scale, _EXACT)) for value in values.to_pylist()])
        elif kind.name == "float":
            self._add_floats(values)
        else:
            self._add_keys(kind.keys(values))

    def result(self, records: int) -> ColumnStatistics:
        """The statistics of all blocks so far, which had so many records; where there is no value, it is null."""
        kind, sketch, nulls = self._kind, self._sketch, records - self._count
        if sketch.minimum is None or sketch.maximum is None:
            empty = None if kind.measured == "nothing" else 0
            return ColumnStatistics(self._name, self._count, nulls, self._nans, kind.measured, empty)
        distinct = sketch.distinct if not kind.hashed else (None if self._distinct is None else len(self._distinct))
        return ColumnStatistics(
            self._name,
            self._count,
            nulls,
            self._nans,
            kind.measured,
            distinct,
            kind.value(sketch.minimum),
            kind.value(sketch.maximum),
            self._mean(),
            tuple(zip(PERCENTS, map(kind.value, sketch.quantiles(PERCENTS)), strict=True)),
            sketch.shift,
        )

    def _mean(self) -> Value:
        kind, count = self._kind, self._sketch.count
        if kind.name == "float":
            return sum(self._infinite) if self._infinite else _divide(self._total, count << _ONE)
        if kind.name == "time":
            return kind.value(self._total // count)
        return _divide(self._total, count * 10**kind.scale)

    def _add_whole(self, values: list[int]) -> None:
        if values:
            self._total += sum(values)
            self._sketch.add(Counter(values).items(), 0, min(values), max(values))

    def _add_keys(self, keys: Any) -> None:  # noqa: ANN401 -- an array of whole numbers without nulls
        if len(keys) <= _FEW:
            self._add_whole(keys.to_pylist())
            return
        pa, compute = arrow(), arrow("compute")
        low = compute.bit_wise_and(keys, pa.scalar(0xFFFF_FFFF, keys.type))
        high = compute.shift_right(keys, pa.scalar(32, keys.type))
        self._total += (compute.sum(high).as_py() << 32) + compute.sum(low).as_py()
        self._count_keys(keys)

    def _count_keys(self, keys: Any) -> None:  # noqa: ANN401 -- an array of whole numbers without nulls
        pa, compute = arrow(), arrow("compute")
        ends = compute.min_max(keys).as_py()
        shift = self._sketch.shift
        if shift:
            keys = compute.shift_right(keys, pa.scalar(shift, keys.type))
        found = compute.value_counts(keys)
        bins = zip(found.field(0).to_pylist(), found.field(1).to_pylist(), strict=True)
        self._sketch.add(bins, shift, ends["min"], ends["max"])

    def _add_floats(self, values: Any) -> None:  # noqa: ANN401 -- an array of float64 without nulls
        """Adds them without rounding: the sum of the fractions for each exponent is a whole number."""
        pa, compute = arrow(), arrow("compute")
        numbers = values.filter(compute.invert(compute.is_nan(values)))
        self._nans += len(values) - len(numbers)
        if not len(numbers):
            return
        numbers = compute.add(numbers, pa.scalar(0.0))  # -0.0 becomes 0.0
        finite = numbers.filter(compute.is_finite(numbers))
        if len(finite) < len(numbers):
            for infinity in (math.inf, -math.inf):
                if infinity not in self._infinite and compute.any(compute.equal(numbers, infinity)).as_py():
                    self._infinite.append(infinity)
        bits = _bits(finite)
        exponents = compute.bit_wise_and(compute.shift_right(bits, pa.scalar(_MANTISSA)), pa.scalar(_EXPONENT))
        fractions = compute.bit_wise_and(bits, pa.scalar((1 << _MANTISSA) - 1))
        whole = compute.if_else(compute.equal(exponents, 0), 0, 1 << _MANTISSA)
        fractions = compute.add(fractions, whole)
        signed = compute.if_else(compute.less(bits, 0), compute.negate(fractions), fractions)
        table = pa.table(
            {
                "exponent": exponents,
                "high": compute.shift_right(signed, pa.scalar(_HALF)),
                "low": compute.bit_wise_and(signed, pa.scalar((1 << _HALF) - 1)),
            }
        )
        sums = table.group_by("exponent", use_threads=False).aggregate([("high", "sum"), ("low", "sum")])
        for row in sums.to_pylist():
            self._total += ((row["high_sum"] << _HALF) + row["low_sum"]) << (max(row["exponent"], 1) - 1)
        bits = _bits(numbers)
        self._count_keys(compute.if_else(compute.less(bits, 0), compute.bit_wise_xor(bits, pa.scalar(_SIGN)), bits))

    def _add_coded(self, codes: Any, dictionary: Any) -> None:  # noqa: ANN401 -- arrays; of strings or bytes the second
        """Texts that are given by their place in a dictionary: each of its values is looked at once."""
        self._count += len(codes)
        if len(codes):
            self._add_distinct(dictionary.take(arrow("compute").unique(codes)))
            self._add_keys(self._kind.keys(dictionary).take(codes))

    def _add_distinct(self, values: Any) -> None:  # noqa: ANN401 -- an array of strings or bytes without nulls
        if self._distinct is None:
            return
        different = values if len(values) <= _FEW else arrow("compute").unique(values)
        for value in different.cast(arrow().large_binary()):
            self._distinct.add(hashlib.blake2b(value.as_buffer(), digest_size=16).digest())
            if len(self._distinct) > BINS:
                self._distinct = None
                return


class _Kind:
    """How the values of a type become whole numbers in the same order, and back."""

    def __init__(self, kind: DataType) -> None:
        self.name, self.scale, self._type = "nothing", 0, kind
        if isinstance(kind, tuple):
            self.name = "length" if kind[0] in {"list", "map"} else "nothing"
        elif kind.startswith(("int", "uint")) and not kind.startswith("interval"):
            self.name = "whole"
        elif kind.startswith("decimal"):
            self.name, self.scale = "decimal", int(kind.rstrip(")").rpartition(",")[2])
        elif kind.startswith("float"):
            self.name = "float"
        elif kind == "bool":
            self.name = "bool"
        elif kind.startswith(("date", "time")):
            self.name = "time"
        elif kind.startswith("duration"):
            self.name = "whole"
        elif kind == "string" or kind.startswith("binary"):
            self.name = "text"
        self.hashed = self.name == "text"
        values = self.name in {"whole", "decimal", "float", "bool", "time"}
        lengths = self.name in {"length", "text"}
        self.measured: Literal["values", "lengths", "nothing"] = (
            "values" if values else "lengths" if lengths else "nothing"
        )

    def plain(self, values: Any) -> Any:  # noqa: ANN401 -- pyarrow arrays
        """The values without dictionaries, run lengths and extension types, floats as float64."""
        pa, types = arrow(), arrow("types")
        while True:
            if hasattr(values.type, "storage_type"):
                values = values.storage
            elif types.is_dictionary(values.type):
                values = values.dictionary_decode()
            elif types.is_run_end_encoded(values.type):
                values = arrow("compute").run_end_decode(values)
            else:
                break
        if self.name == "text" and str(values.type).endswith("_view"):
            return values.cast(pa.large_string() if _is_string(values.type) else pa.large_binary())
        return values.cast(pa.float64()) if self.name == "float" else values

    def keys(self, values: Any) -> Any:  # noqa: ANN401 -- pyarrow arrays
        """Whole numbers that are ordered as the values are, or their lengths."""
        pa, compute, types = arrow(), arrow("compute"), arrow("types")
        if self.name == "length":
            if types.is_integer(values.type):
                return values
            lists = values.cast(pa.list_(_entry(values.type))) if types.is_map(values.type) else values
            return compute.list_value_length(lists).cast(pa.int64())
        if self.name == "text":
            lengths = compute.utf8_length if _is_string(values.type) else compute.binary_length
            return lengths(values).cast(pa.int64())
        if types.is_date(values.type):
            values = values.cast(pa.date32())
        if types.is_date(values.type) or types.is_time32(values.type):
            values = values.cast(pa.int32())
        return values.cast(pa.uint64() if types.is_unsigned_integer(values.type) else pa.int64())

    def value(self, key: int) -> Value:
        """The value that the whole number stands for."""
        if self.name == "bool":
            return bool(key)
        if self.name == "decimal":
            return format(Decimal(key).scaleb(-self.scale, _EXACT), "f")
        if self.name == "float":
            found: float = struct.unpack("<d", struct.pack("<q", key ^ _SIGN if key < 0 else key))[0]
            return found
        return self._moment(key) if self.name == "time" else key

    def _moment(self, key: int) -> str:
        pa = arrow()
        name = str(self._type)
        unit = name[name.find("[") + 1 :].rstrip("]").partition(",")[0]
        if name == "date":
            return str(pa.array([key], pa.int32()).cast(pa.date32()).cast(pa.string())[0].as_py())
        if name.startswith("timestamp"):
            text = pa.array([key], pa.timestamp(unit)).cast(pa.string())[0].as_py()
            return str(text).replace(" ", "T") + ("Z" if "," in name else "")
        kind, whole = (pa.time32(unit), pa.int32()) if unit in {"s", "ms"} else (pa.time64(unit), pa.int64())
        return str(pa.array([key], whole).cast(kind).cast(pa.string())[0].as_py())


def _divide(total: int, count: int) -> float:
    try:
        return total / count
    except OverflowError:
        return math.inf if total > 0 else -math.inf


def _bits(values: Any) -> Any:  # noqa: ANN401 -- an array of float64; one of int64
    return values.view(arrow().int64())


def _is_string(kind: Any) -> bool:  # noqa: ANN401 -- a pyarrow.DataType
    types = arrow("types")
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _entry(kind: Any) -> Any:  # noqa: ANN401 -- a pyarrow.MapType; the type of its entries
    pa = arrow()
    return pa.struct([kind.key_field, kind.item_field])
