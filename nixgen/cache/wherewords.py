"""Where sources can be had, as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from nixgen.cache.archive import Whereabouts
from nixgen.console import table

_WORDS = {None: "not asked", True: "yes", False: "no"}


def as_json(rows: Sequence[Whereabouts]) -> str:
    """A list of objects; null where nobody was asked."""
    found = [
        {
            "name": row.source.name,
            "kind": row.source.kind,
            "sha256": row.source.sha256,
            "url": row.source.url or None,
            "original": row.original,
            "archive": row.archive,
            "cache": row.cache,
            "store": row.store,
        }
        for row in rows
    ]
    return json.dumps(found, indent=2)


def as_text(rows: Sequence[Whereabouts], asked: int, *, problems: bool) -> list[tuple[str, str]]:
    """A line for each file, what only one place has in the colour of what is wrong; ``asked`` is how many there are."""
    count = f"{asked} {'file' if asked == 1 else 'files'}"
    if problems and not rows:
        return [("", f"{count}, each of them in more than one place")]
    head = ("file", "original", "archive", "cache", "store")
    cells = [head, *([row.source.label, *map(_WORDS.__getitem__, _places(row))] for row in rows)]
    lines = table(cells)
    styles = ["head", *("bad" if row.places == 0 else "note" if row.places == 1 else "" for row in rows)]
    rare = sum(row.places == 1 for row in rows)
    lost = sum(row.places == 0 for row in rows)
    told = f"{count}; {rare} in one place only, {lost} nowhere else than in this machine's store, if there"
    named = "" if any(row.archive is not None for row in rows) else ", and name FOLDER: [tool.nixgen] archive"
    mend = [("", f"hint: keep them: nixgen archive push FOLDER{named}")] if rare or lost else []
    return [*zip(styles, lines, strict=True), ("", told), *mend]


def _places(row: Whereabouts) -> tuple[bool | None, ...]:
    return row.original, row.archive, row.cache, row.store
