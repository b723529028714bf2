"""A snapshot: the files of a dataset at one moment, and what is in them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nixgen.data.formats import FILES, check_format, format_of, record_files
from nixgen.data.manifest import Files, check_paths, content_hash
from nixgen.data.schema import Schema, schema_hash
from nixgen.data.stats import ColumnStatistics
from nixgen.errors import MachineError, UserError


@dataclass(frozen=True, slots=True, order=True)
class DataFile:
    """One file: its path within the dataset, its size in bytes, its SHA-256 in hexadecimal."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a dataset held. ``files`` is sorted by path.

    ``records`` and ``schema_hash`` are None for formats without records; ``schema`` and ``columns`` also when the
    files are not on this machine, and ``columns`` when it was not asked for.
    """

    name: str
    format: str
    files: tuple[DataFile, ...]
    content_hash: str
    records: int | None = None
    schema_hash: str | None = None
    schema: Schema | None = None
    columns: tuple[ColumnStatistics, ...] | None = None

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def of_path(path: Path, name: str, format_name: str | None = None) -> tuple[Snapshot, dict[str, Path]]:
    """The files of a folder, or one file, hashed; and where each lies. No file is read as data yet.

    Links to files count as what they point to; links to folders are not followed. Raises UserError for an empty
    folder, for names that are not UTF-8 and for what is no file; MachineError for what cannot be read.
    """
    files = dict(_walk(path)) if path.is_dir() else {path.name: path}
    check_paths(files, name)
    if not files:
        raise UserError.of(name, "has no files", "name a folder with data in it, or a file")
    chosen = check_format(format_name, name) if format_name else format_of(files, name)
    entries = tuple(sorted(_hashed(relative, file, name) for relative, file in files.items()))
    return Snapshot(name, chosen, entries, content_hash((f.path, f.size, f.sha256) for f in entries)), files


def read(snapshot: Snapshot, files: Mapping[str, Path], *, statistics: bool = True) -> Snapshot:
    """The snapshot with its record count and schema, and with the statistics of its columns, from its files."""
    if snapshot.format == FILES:
        return snapshot
    from nixgen.data.reading import scan, unify

    name, chosen = snapshot.name, snapshot.format
    paths = record_files([file.path for file in snapshot.files], chosen, name)
    scans = [(path, scan(chosen, path, files[path], name)) for path in paths]
    schema = unify(chosen, [(path, found.schema) for path, found in scans], name)
    records = sum(found.records for _, found in scans)
    places = [(path, files[path]) for path in paths]
    columns = _columns(chosen, places, name, schema, records) if statistics else None
    return Snapshot(name, chosen, snapshot.files, snapshot.content_hash, records, schema_hash(schema), schema, columns)


def _columns(format_name: str, files: Files, where: str, schema: Schema, records: int) -> tuple[ColumnStatistics, ...]:
    from nixgen.data.reading import batches
    from nixgen.data.stats import Accumulator

    accumulators = {column.name: Accumulator(column) for column in schema}
    for path, file in files:
        for block in batches(format_name, path, file, where, schema):
            for name, values in block.items():
                accumulators[name].add(values)
    return tuple(accumulator.result(records) for accumulator in accumulators.values())


def _walk(root: Path) -> Iterator[tuple[str, Path]]:
    for folder, _, names in os.walk(root):
        for name in names:
            file = Path(folder, name)
            yield file.relative_to(root).as_posix(), file


def _hashed(relative: str, file: Path, where: str) -> DataFile:
    place = f"{where}: {relative}"
    try:
        if not file.is_file():
            raise UserError.of(place, "is no file, nor a link to one", "take it away")
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
            return DataFile(relative, os.fstat(opened.fileno()).st_size, digest)
    except OSError as error:
        raise MachineError.of(place, f"cannot be read: {error.strerror}", "make it readable") from None
