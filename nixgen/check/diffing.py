"""``nixgen diff``: what changed between two records, in words of packages and models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nixgen import console
from nixgen.check import record
from nixgen.check.compare import Change, Comparison, compare
from nixgen.check.model import Record
from nixgen.check.report import messages
from nixgen.check.report.markdown import escaped
from nixgen.errors import MachineError, UserError
from nixgen.machine.process import run

JSON_VERSION = 1


@dataclass(frozen=True, slots=True)
class Diff:
    """Two records by their names, the systems that both have with what differs, and those of only one."""

    old: str
    new: str
    systems: dict[str, Comparison]
    only_old: tuple[str, ...]
    only_new: tuple[str, ...]

    @property
    def unexplained(self) -> bool:
        """Whether bytes changed that no change of a recipe explains."""
        return any(found.paths for found in self.systems.values())


def diff(start: Path, old: str, new: str) -> Diff:
    """What changed from ``old`` to ``new``, each a record's path or a git revision of the project in ``start``.

    Raises UserError for what is neither, MachineError when there is no record or nothing that both have.
    """
    first, second = _load(start, old), _load(start, new)
    both = sorted(first.systems.keys() & second.systems.keys())
    if not both:
        raise MachineError.of(new, f"has no system that {old} has, too: nothing was compared")
    return Diff(
        old,
        new,
        {system: compare(first.systems[system], second.systems[system]) for system in both},
        tuple(sorted(first.systems.keys() - second.systems.keys())),
        tuple(sorted(second.systems.keys() - first.systems.keys())),
    )


def _load(start: Path, name: str) -> Record:
    path = Path(name)
    if path.is_file():
        found = record.read_record(path, name)
        if found is not None:
            return found
    if name.startswith("-") or not start.is_dir():
        raise UserError.of(name, "is neither a record nor a revision of git")
    known = run(["git", "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"], cwd=start, check=False)
    if known.code != 0:
        mend = "give the path of a record, or a revision like HEAD~1"
        raise UserError.of(name, "is neither a record nor a revision of git here", mend)
    folder = _project(start)
    shown = run(["git", "show", f"{name}:./{record.NAME}"], cwd=folder, check=False)
    if shown.code != 0:
        what = f"has no {record.NAME} at this revision"
        raise MachineError.of(name, what, f"make one there, and commit it: {messages.UPDATE}")
    return record.parse_record(shown.out, f"{name}:{record.NAME}")


def _project(start: Path) -> Path:
    """The folder whose record is meant: the nearest one with a pyproject.toml or a record."""
    folder = start.resolve()
    marks = (record.NAME, "pyproject.toml")
    places = (folder, *folder.parents)
    return next((place for mark in marks for place in places if (place / mark).is_file()), folder)


def as_text(found: Diff) -> str:
    """Sentences, a part for each system."""
    lines = []
    for system, comparison in found.systems.items():
        lines += [f"{system}:", *(f"  {line}" for line in _lines(comparison)), ""]
    lines += [f"{system} is only in {found.old}" for system in found.only_old]
    lines += [f"{system} is only in {found.new}" for system in found.only_new]
    return "\n".join(lines).rstrip()


def as_markdown(found: Diff) -> str:
    """The same as lists."""
    lines = []
    for system, comparison in found.systems.items():
        lines += [f"### {escaped(system)}", "", *(f"- {escaped(line)}" for line in _lines(comparison)), ""]
    lines += [f"- {escaped(system)} is only in {escaped(found.old)}" for system in found.only_old]
    lines += [f"- {escaped(system)} is only in {escaped(found.new)}" for system in found.only_new]
    return "\n".join(lines).rstrip()


def as_json(found: Diff) -> str:
    """All of it, version 1."""
    document = {
        "version": JSON_VERSION,
        "old": found.old,
        "new": found.new,
        "onlyOld": list(found.only_old),
        "onlyNew": list(found.only_new),
        "systems": {system: _json(comparison) for system, comparison in found.systems.items()},
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _lines(found: Comparison) -> Iterator[str]:
    yield from map(_change, found.inputs)
    if found.recipes:
        names = [change.name for change in found.recipes]
        yield f"{messages.count(len(names), 'derivation')} changed: {', '.join(names[:_NAMES])}" + (
            f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
        )
    for before, after in found.paths:
        what = f"{before.nar_hash} became {after.nar_hash}"
        if before.nar_hash == after.nar_hash:
            what = "its references changed"
        yield f"{before.name}: {what}, and its recipe did not change"
    before_size, after_size = found.sizes
    moved = f"{console.size(before_size)} before, {console.size(after_size)} now" if before_size != after_size else ""
    counted = f"{messages.count(len(found.added), 'path')} added, {len(found.removed):,} removed"
    if moved or found.added or found.removed:
        yield f"closure: {moved or console.size(after_size)}, {counted}, {found.shared:,} kept"
    elif not (found.inputs or found.recipes or found.paths):
        yield "nothing changed"


_NAMES = 10


def _change(change: Change) -> str:
    """An input's change as one reads it in a changelog."""
    if not change.key:
        return f"{change.where} {change.new} added" if change.new else f"{change.where} {change.old} removed"
    verb = "moved from" if change.key == "commit" else "changed from"
    return f"{change.where}: {change.key} {verb} {change.old or 'none'} to {change.new or 'none'}"


def _json(found: Comparison) -> dict[str, Any]:
    return {
        "inputs": [
            {"where": one.where, "key": one.key or None, "old": one.old or None, "new": one.new or None}
            for one in found.inputs
        ],
        "derivations": [
            {
                "name": one.name,
                "old": one.old and {"drvPath": one.old.drv, "outPath": one.old.out},
                "new": one.new and {"drvPath": one.new.drv, "outPath": one.new.out},
            }
            for one in found.recipes
        ],
        "changedWithoutRecipe": [
            {"path": old.name, "old": old.nar_hash, "new": new.nar_hash} for old, new in found.paths
        ],
        "added": list(found.added),
        "removed": list(found.removed),
        "size": {"old": found.sizes[0], "new": found.sizes[1]},
    }
