"""The formats of datasets, and which of a dataset's files hold its records."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from nixgen.errors import UserError

_TEXT = ("", ".gz", ".bz2", ".zst")  # compressions that text formats may have

SUFFIXES: dict[str, tuple[str, ...]] = {
    "parquet": (".parquet", ".pq"),
    "csv": tuple(".csv" + packed for packed in _TEXT),
    "tsv": tuple(".tsv" + packed for packed in _TEXT),
    "jsonl": tuple(name + packed for name in (".jsonl", ".ndjson") for packed in _TEXT),
    "arrow": (".arrow", ".arrows", ".ipc", ".feather"),
}
"""The formats with records, and the ends of their files' names."""

_ASKED = {"jsonl": tuple(".json" + packed for packed in _TEXT)}  # ends that tell nothing until the format is named

FILES = "files"
"""The format without records: a dataset of images, say. It has no record count and no schema."""

FORMATS: tuple[str, ...] = (*SUFFIXES, FILES)
"""What ``format`` may be in models.toml."""


def check_format(name: str, where: str) -> str:
    """The format, when it is one. Raises UserError with the nearest."""
    if name in FORMATS:
        return name
    near = difflib.get_close_matches(name.lower().lstrip("."), FORMATS, n=1, cutoff=0.5)
    known = "use one of " + ", ".join(FORMATS)
    raise UserError.of(
        where, f"{json.dumps(name)} is not a format of data", f'did you mean "{near[0]}"? {known}' if near else known
    )


def format_of(paths: Iterable[str], where: str) -> str:
    """The one format that the names of the files tell; "files" when they tell none.

    Raises UserError when they tell more than one.
    """
    found: dict[str, str] = {}
    for path in sorted(paths):
        if not _hidden(path) and (name := _format(path)) is not None:
            found.setdefault(name, path)
    if len(found) > 1:
        examples = " and ".join(f"{path} ({name})" for name, path in found.items())
        mend = "keep one format with include or exclude, or name the one that holds the records: format = "
        raise UserError.of(where, f"mixes formats: {examples}", mend + f'"{next(iter(found))}"')
    return next(iter(found), FILES)


def record_files(paths: Sequence[str], name: str, where: str) -> tuple[str, ...]:
    """The files that hold the records, sorted: those with the format's suffix; a file that is alone in any case.

    Names that begin with a dot or an underscore (``_SUCCESS``, ``.part.crc``) are never records, as in Spark and
    pyarrow.dataset. Raises UserError when no file is left.
    """
    if not paths:
        raise UserError.of(where, "has no files", "check the source, and include and exclude")
    if len(paths) == 1:
        return tuple(paths)
    suffixes = SUFFIXES[name] + _ASKED.get(name, ())
    fitting = sorted(path for path in paths if not _hidden(path) and path.lower().endswith(suffixes))
    if not fitting:
        ends = ", ".join(f"*{suffix}" for suffix in SUFFIXES[name])
        what = f"none of its {len(paths)} files is named as {name} files are ({ends})"
        raise UserError.of(where, what, f'set its format, or format = "{FILES}" to pin files without counting records')
    return tuple(fitting)


def compression(path: str) -> str:
    """How a file is packed, by the end of its name: "", "gz", "bz2" or "zst"."""
    suffix = PurePosixPath(path.lower()).suffix
    return suffix[1:] if suffix in _TEXT else ""


def _format(path: str) -> str | None:
    return next((name for name, suffixes in SUFFIXES.items() if path.lower().endswith(suffixes)), None)


def _hidden(path: str) -> bool:
    return any(part.startswith((".", "_")) for part in path.split("/"))
