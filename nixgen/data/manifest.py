"""The manifest of a dataset: how many records, which schema, which content, since when. docs/data.md is its page."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from nixgen.data.formats import FILES, check_format, format_of, record_files
from nixgen.data.model import DataManifest
from nixgen.data.schema import schema_hash
from nixgen.errors import Problem, UserError

Files = Sequence[tuple[str, Path]]
"""Files of a dataset: the path within it (relative, forward slashes), and where it lies on this machine."""


def describe(  # noqa: PLR0913 -- each is a field of the manifest, or what one depends on
    name: str,
    storage_uri: str,
    format: str | None,  # noqa: A002 -- the key's name in models.toml
    files: Files,
    sha256s: Mapping[str, str],
    *,
    previous: DataManifest | None = None,
    now: datetime | None = None,
) -> DataManifest:
    """The manifest of a dataset whose files are on this machine.

    ``format`` is one of formats.FORMATS, None to tell it from the files' names; ``sha256s`` maps each path within the
    dataset to its SHA-256 (hexadecimal), which is trusted. ``created_at`` is ``now`` (the clock), or that of
    ``previous`` when the content is the same. Files are read in blocks: memory does not grow with them. Raises
    UserError for files that cannot be read as this format, and MachineError when that needs pyarrow and it is missing.
    """
    where = f"data.{name}"
    paths = check_paths((path for path, _ in files), where)
    if not paths:
        raise UserError.of(where, "has no files", "check the source, and include and exclude")
    chosen = check_format(format, where) if format is not None else format_of(paths, where)
    content = content_hash([(path, file.stat().st_size, sha256s[path]) for path, file in files])
    count, schema = None, None
    if chosen != FILES:
        from nixgen.data.reading import scan, unify

        places = dict(files)
        scans = [(path, scan(chosen, path, places[path], where)) for path in record_files(paths, chosen, where)]
        schema = schema_hash(unify(chosen, [(path, found.schema) for path, found in scans], where))
        count = sum(found.records for _, found in scans)
    same = previous is not None and previous.content_hash == content
    created = previous.created_at if previous is not None and same else _stamp(now or datetime.now(UTC))
    return DataManifest(name, storage_uri, count, schema, content, created)


def content_hash(files: Iterable[tuple[str, int, str]]) -> str:
    """SHA-256, hexadecimal, of one line of JSON for each file: [path, size, sha256], sorted by path, in ASCII."""
    lines = "".join(json.dumps(list(file), separators=(",", ":")) + "\n" for file in sorted(files))
    return hashlib.sha256(lines.encode("ascii")).hexdigest()


def check_paths(paths: Iterable[str], where: str) -> tuple[str, ...]:
    """The paths, sorted. Raises UserError for each that is twice there or is not UTF-8."""
    seen: set[str] = set()
    problems: list[Problem] = []
    for path in paths:
        if path in seen:
            problems.append(Problem(where, f"has the path {path} twice", "keep one of the two"))
        if not path.isprintable() and _surrogates(path):
            problems.append(Problem(where, f"has a file whose name is not UTF-8: {path!a}", "rename the file"))
        seen.add(path)
    if problems:
        raise UserError(problems)
    return tuple(sorted(seen))


def _surrogates(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
