"""What differs between two snapshots of a dataset, as one value; render.py has its three forms."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nixgen.data.schema import Column
from nixgen.data.snapshot import DataFile, Snapshot
from nixgen.data.stats import ColumnStatistics


@dataclass(frozen=True, slots=True)
class Changed:
    """A file that is in both snapshots with other content."""

    old: DataFile
    new: DataFile


@dataclass(frozen=True, slots=True)
class Retyped:
    """A column that is in both with another type, or that may hold nulls in only one."""

    old: Column
    new: Column


@dataclass(frozen=True, slots=True)
class Drift:
    """A column that is in both with other statistics."""

    old: ColumnStatistics
    new: ColumnStatistics


@dataclass(frozen=True, slots=True)
class DataDiff:
    """What differs. Files are sorted by path, columns stand in the new snapshot's order (removed ones in the old's).

    ``reordered``: the columns that both have stand in another order. ``schema_changed`` is also known when the files
    are not on this machine, by the schema's hash. ``notes`` say what could not be compared, and why.
    """

    old: Snapshot
    new: Snapshot
    files_added: tuple[DataFile, ...] = ()
    files_removed: tuple[DataFile, ...] = ()
    files_changed: tuple[Changed, ...] = ()
    columns_added: tuple[Column, ...] = ()
    columns_removed: tuple[Column, ...] = ()
    columns_retyped: tuple[Retyped, ...] = ()
    reordered: bool = False
    schema_changed: bool = False
    drift: tuple[Drift, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing differs: neither files, nor what is in them."""
        files = self.files_added or self.files_removed or self.files_changed
        return not (files or self.schema_changed or self.drift or self.old.records != self.new.records)


def diff(old: Snapshot, new: Snapshot, notes: tuple[str, ...] = ()) -> DataDiff:
    """What differs between two snapshots. Nothing is read."""
    before, after = ({file.path: file for file in side.files} for side in (old, new))
    was, now = ({column.name: column for column in side.schema or ()} for side in (old, new))
    both = [name for name in now if name in was]
    known = old.schema is not None and new.schema is not None
    drift: tuple[Drift, ...] = ()
    if old.columns is not None and new.columns is not None:
        first = {column.name: column for column in old.columns}
        drift = tuple(
            Drift(first[column.name], column)
            for column in new.columns
            if column.name in first and not _same(first[column.name], column)
        )
    return DataDiff(
        old,
        new,
        tuple(file for path, file in after.items() if path not in before),
        tuple(file for path, file in before.items() if path not in after),
        tuple(Changed(before[path], file) for path, file in after.items() if path in before and before[path] != file),
        tuple(column for name, column in now.items() if name not in was) if known else (),
        tuple(column for name, column in was.items() if name not in now) if known else (),
        tuple(Retyped(was[name], now[name]) for name in both if was[name] != now[name]),
        both != [name for name in was if name in now],
        old.schema_hash != new.schema_hash,
        drift,
        notes,
    )


def _same(old: ColumnStatistics, new: ColumnStatistics) -> bool:
    """Whether nothing drifted; not a number is itself here."""
    return repr(replace(old, name="")) == repr(replace(new, name=""))
