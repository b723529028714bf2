"""The sentences of a check, in one place: none claims more than what was compared proves.

Equal derivations: the same recipe, nothing about the bytes. Equal hashes of every path of a closure: that runtime
closure is bit-identical. Only a build that was done once more says that a build gives the same bytes again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from nixgen.check.compare import Change, RecipeChange
from nixgen.check.model import ClosurePath, Difference, PathVerdict, Recipe, Record, Step, is_lock
from nixgen.console import size
from nixgen.errors import Finding, MachineError, NoRecord, Problem, Stale

UPDATE = "nixgen check --update"
LABELS = {"stale": "generated"}  # what people read instead of the name that programs know
_HEADS = {1: "differs", 3: "could not check", 4: "stale", 5: "build failed", 6: "no record"}


def count(number: int, what: str) -> str:
    """A number and what it counts: 1 path, 3 paths."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def are(number: int, what: str) -> str:
    """The same with its verb: 1 path is, 3 paths are."""
    return f"{count(number, what)} {'is' if number == 1 else 'are'}"


def imports(text: str, file: str) -> tuple[int, tuple[Problem, ...]]:
    """What the import check wrote into ``file``: a line for each module, which are counted, and its warnings.

    Warnings are each of a library. Of the notes on plugins the longest of each package is told.
    """
    warnings = [Problem(where, what) for where, what in re.findall(r"^warning: (\S+): (.*)$", text, re.MULTILINE)]
    notes: dict[str, list[str]] = {}
    for where, what in re.findall(r"^note: (\S+): (.*)$", text, re.MULTILINE):
        notes.setdefault(where, []).append(what)
    for where, told in notes.items():
        more = f"{count(len(told) - 1, 'more note')} like this: cat {file}" if len(told) > 1 else ""
        warnings.append(Problem(where, max(told, key=lambda what: (what.count(".so"), what)), more))
    count_of_modules = len(text.splitlines()) - len(re.findall(r"^(?:warning|note): ", text, re.MULTILINE))
    return count_of_modules, tuple(warnings)


def works(imported: int | None, checks: Sequence[str] = ("imports",)) -> str:
    """What the last step found in order; ``imported`` counts modules, and of none nothing is claimed.

    ``checks`` are the names of all that was tried: those of an environment with a name begin with that.
    """
    smoke = "smoke" in checks
    others = [name.removesuffix("-imports") for name in checks if name.endswith("-imports")]
    if others:
        environments = f"the environment{'' if len(others) == 1 else 's'} {', '.join(others)}"
        return f"{works(imported, [name for name in checks if name in {'imports', 'smoke'}])}; and in {environments}"
    if imported == 0:
        return "there is no module to import" + ("; the smoke commands succeed, in a build by Nix" if smoke else "")
    told = "modules can be imported" if imported is None else f"{count(imported, 'module')} can be imported"
    return told + (", and the smoke commands succeed" if smoke else "") + ", in a build by Nix"


def change_problem(change: Change, old: str, new: str) -> Problem:
    """One changed input as a sentence; ``old`` and ``new`` name the sides ("in the record", "here")."""
    if not change.key:
        there, lacking = (new, old) if change.new else (old, new)
        value = change.new or change.old
        return Problem(change.where, f"is only {there}{f' ({value})' if value else ''}, not {lacking}")
    before, after = (value or "none" for value in (change.old, change.new))
    return Problem(change.where, f"{change.key} is {before} {old}, and {after} {new}")


def recipe_problem(change: RecipeChange, old: str, new: str) -> Problem:
    """One output with another derivation."""
    if change.old is None or change.new is None:
        there, lacking = (new, old) if change.old is None else (old, new)
        return Problem(change.name, f"is only {there}, not {lacking}")
    return Problem(change.name, f"is made by {change.old.drv} {old}, and by {change.new.drv} {new}")


def why_unnamed(changes: Sequence[RecipeChange]) -> Problem:
    """What is left when derivations differ and no input of the record does."""
    if all(change.same_path for change in changes):
        what = "every output has the same path: only how something is fetched can be another way, like an address"
        return Problem("inputs", what)
    names = {change.name for change in changes} - {"root"}
    if names and all(name.startswith("services.") for name in names):
        return Problem("the project's own code", "changed: services hold a copy of it")
    return Problem("inputs", "no input that the record names changed, so another input did")


def recipe_step(
    changes: Sequence[RecipeChange], causes: Sequence[Change], total: int, where: str, *, update: bool = False
) -> Step:
    """The step "recipe" against a record; ``where`` is the record's name."""
    if not changes:
        told = f"the {count(total, 'derivation')} are those of {where}"
        if causes:
            told += f"; {' and '.join(cause.where for cause in causes)} changed without an effect on them"
        return Step("recipe", True, told)
    found = [change_problem(cause, "in the record", "here") for cause in causes]
    if not found or all(is_lock(cause.where) for cause in causes):
        found.append(why_unnamed(changes))
    found += [recipe_problem(change, "in the record", "here") for change in changes]
    told = f"inputs changed: {len(changes)} of {count(total, 'derivation')} are not those of {where}"
    if update:
        return Step("recipe", None, told, findings=tuple(found))
    mend = f"when the change is meant: {UPDATE}"
    found[-1] = Problem(found[-1].where, found[-1].what, mend)
    return Step("recipe", False, told, Stale.exit_code, tuple(found))


def no_record(where: str, system: str, recorded: Record | None, *, update: bool) -> Step:
    """The step "recipe" without anything to compare with."""
    if recorded is None:
        told, problem = "there is no record yet", Problem(where, "is missing", f"make it, and commit it: {UPDATE}")
    else:
        told = f"the record has nothing for {system} yet"
        systems = ", ".join(recorded.systems) or "none"
        problem = Problem(where, f"has no {system}; it has {systems}", f"add it: {UPDATE}")
    if update:
        return Step("recipe", None, told)
    return Step("recipe", None, told, NoRecord.exit_code, (problem,))


def bytes_same(paths: int, closure_size: int, where: str) -> str:
    """What is known when every path of the closure is as the record has it."""
    return _match(paths, closure_size, where)


def bytes_alone(paths: int, closure_size: int) -> str:
    """What is known without a record."""
    return f"{_as_noted(paths, closure_size)}; it was not compared with a record"


def bytes_updated(paths: int, closure_size: int, changed: int, where: str) -> str:
    """What is known when the record is written anew, and the recipe is the one that it had."""
    then = f"{are(changed, 'path')} not what {where} had" if changed else f"{where} had the same"
    return f"{_as_noted(paths, closure_size)}; {then}, from the same recipe"


def _as_noted(paths: int, closure_size: int) -> str:
    return _match(paths, closure_size, "what Nix noted")


def _match(paths: int, closure_size: int, what: str) -> str:
    return f"{count(paths, 'store path')} ({size(closure_size)}) {'matches' if paths == 1 else 'match'} {what}"


def bytes_partly(shared: int, paths: int) -> str:
    """What is known when the recipe is another one."""
    return (
        f"{shared:,} of {count(paths, 'path')} are in the record, too, with the same content; the others are not in it"
    )


def bytes_differ(differing: int, paths: int, first: str) -> str:
    """What is known when some are not as they should be; ``first`` is the earliest in dependency order."""
    verb = "is" if differing == 1 else "are"
    return f"{differing:,} of {count(paths, 'path')} {verb} not what was expected; the first is {first}"


def nothing_compared(where: str) -> tuple[Problem, ...]:
    """The finding of a comparison that had nothing to compare."""
    return (Problem(where, "has nothing that could be compared with what is here", f"when that is meant: {UPDATE}"),)


def rebuilt(reproduced: int, differing: int, open_: int) -> str:
    """What rebuilding gave."""
    total = count(reproduced + differing + open_, "derivation")
    parts = [f"{reproduced:,} of {total} built again gave the same bytes"]
    parts += [f"{differing:,} gave others"] if differing else []
    parts += [f"{open_:,} could not be told"] if open_ else []
    return ", ".join(parts)


def rebuild_step(verdicts: Sequence[PathVerdict], differences: tuple[Difference, ...]) -> Step:
    """The step "rebuild": what is not told is not well."""
    counts = Counter(verdict.verdict for verdict in verdicts)
    told = rebuilt(counts["reproduced"], counts["differs"], counts["inconclusive"])
    if not verdicts:
        told = "there was nothing to build again"
    code = Finding.exit_code if counts["differs"] else MachineError.exit_code
    ok = False if counts["differs"] else None if counts["inconclusive"] or not verdicts else True
    return Step("rebuild", ok, told, 0 if ok else code, verdicts=tuple(verdicts), differences=differences)


def rehashed(old: ClosurePath, new: ClosurePath) -> Problem:
    """A path whose content is another than the record had, though nothing that it is made from changed."""
    return Problem(old.name, f"was {old.nar_hash} in the record, and is {new.nar_hash} here, from the same recipe")


def which_check(problems: Sequence[Problem], checks: Mapping[str, Recipe]) -> str:
    """Which of the checks these failures are of."""
    named = [name for name, recipe in checks.items() if any(recipe.drv in str(problem) for problem in problems)]
    return " and ".join(map(_check, named or checks))


def _check(name: str) -> str:
    environment, _, kind = name.rpartition("-")
    told = {"imports": "the import check", "smoke": "the smoke commands"}.get(kind, name)
    return f"{told} of the environment {environment}" if environment else told


def progress(step: Step) -> str:
    """The line that says that a step is done."""
    return f"{label(step)}: {mark(step)}{step.summary}"


def label(step: Step) -> str:
    """The step's name for people."""
    return LABELS.get(step.name, step.name)


def mark(step: Step) -> str:
    """What stands before a step's summary when it is not well."""
    return {1: "DIFFERS: ", 3: "COULD NOT CHECK: ", 4: "STALE: ", 5: "FAILED: ", 6: "NO RECORD: "}.get(step.code, "")


def verdict(steps: Sequence[Step], code: int, *, updated: bool = False) -> str:
    """The verdict: that of the gravest step, or what the good ones prove."""
    if code:
        told = "; ".join(step.summary for step in steps if step.code == code)
        return f"{_HEADS.get(code, 'not checked')}: {told}"
    told = "; ".join(step.summary for step in steps if step.name in {"bytes", "rebuild"} and step.ok)
    return f"{'recorded' if updated else 'identical'}: {told}"
