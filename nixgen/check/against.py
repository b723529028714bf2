"""``nixgen check --against``: two records, nothing built and nothing read but the two files."""

from __future__ import annotations

from pathlib import Path

from nixgen.check import record
from nixgen.check.compare import Comparison, compare, size
from nixgen.check.model import Difference, Record, Report, Step, SystemRecord
from nixgen.check.report import messages
from nixgen.console import console
from nixgen.errors import Finding, MachineError, Problem, Stale, UserError


def against(start: Path, own: Path | None, other: Path) -> tuple[Report, ...]:
    """One report for each system that both records have. ``own`` is the project's where it is None.

    Raises UserError for a damaged record, MachineError when one is missing or they have no system in common.
    """
    mine = own or _find(start)
    ours, theirs = _required(mine), _required(other)
    both = sorted(ours.systems.keys() & theirs.systems.keys())
    if not both:
        what = f"has no system that {mine} has, too: nothing was compared"
        raise MachineError.of(str(other), what, f"it has {', '.join(theirs.systems) or 'none'}")
    for name, systems in ((mine, ours.systems.keys() - both), (other, theirs.systems.keys() - both)):
        for system in sorted(systems):
            console.warn(f"{system} is only in {name}: it was not compared")
    return tuple(
        compared(ours.project, system, ours.systems[system], theirs.systems[system], (str(mine), str(other)))
        for system in both
    )


def compared(project: str, system: str, old: SystemRecord, new: SystemRecord, names: tuple[str, str]) -> Report:
    """The report of two records of one system; ``names`` are theirs."""
    found = compare(old, new)
    steps = (_recipe(found, len(old.outputs), names), _bytes(found, names))
    return Report(project, system, steps, new.digest, len(new.closure), size(new.closure))


def _recipe(found: Comparison, total: int, names: tuple[str, str]) -> Step:
    sides = f"in {names[0]}", f"in {names[1]}"
    if not found.recipes:
        return Step("recipe", True, f"both have the same {messages.count(total, 'derivation')}")
    told = f"inputs differ: {len(found.recipes):,} of {messages.count(total, 'derivation')} are not the same in both"
    problems = [messages.change_problem(change, *sides) for change in found.inputs] or [
        messages.why_unnamed(found.recipes)
    ]
    problems += [messages.recipe_problem(change, *sides) for change in found.recipes]
    return Step("recipe", False, told, Stale.exit_code, tuple(problems))


def _bytes(found: Comparison, names: tuple[str, str]) -> Step:
    if found.same_bytes:
        told = f"both have the same content for each of {messages.count(found.shared, 'path')}"
        return Step("bytes", True, f"{told}: the runtime closures that they record are bit-identical")
    if not found.shared:
        return Step("bytes", None, "they have no path in common", MachineError.exit_code)
    if not found.paths and found.recipes:
        told = f"the same content for each of {messages.count(found.shared, 'path')} that both have"
        return Step("bytes", None, f"{told}; the others have another recipe")
    differences = tuple(
        Difference(
            path=before.name,
            expected=before.nar_hash,
            found=after.nar_hash,
            said="from the same recipe, and not the same bytes in both records"
            if before.nar_hash != after.nar_hash
            else "has other references",
        )
        for before, after in found.paths
    )
    problems = (
        []
        if found.recipes
        else [
            *(Problem(name, f"is only in {names[0]}") for name in found.removed),
            *(Problem(name, f"is only in {names[1]}") for name in found.added),
        ]
    )
    first = differences[0].path if differences else problems[0].where
    told = messages.bytes_differ(max(len(differences), 1), found.shared, first)
    return Step("bytes", False, told, Finding.exit_code, tuple(problems), differences=differences)


def _find(start: Path) -> Path:
    """The record in ``start`` or the nearest folder above it."""
    folder = start.resolve()
    if not folder.is_dir():
        raise UserError.of(str(start), "is not a folder")
    found = next((place for place in (folder, *folder.parents) if (place / record.NAME).is_file()), None)
    if found is None:
        what = f"there is no {record.NAME} here or above"
        raise MachineError.of(str(start), what, f"make it: {messages.UPDATE}; or name one: --record FILE")
    return found / record.NAME


def _required(path: Path) -> Record:
    found = record.read_record(path)
    if found is None:
        raise MachineError.of(str(path), "is missing", "give the path of a record")
    return found
