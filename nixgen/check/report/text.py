"""A check's report as text for people and as JSON for programs; markdown.py and junit.py have two more forms."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any

from nixgen.check.digest import spoken
from nixgen.check.model import Difference, FileDifference, Report, Step
from nixgen.check.report import messages
from nixgen.errors import MachineError, Problem, hint

JSON_VERSION = 1
"""The version of the JSON's form: it grows when a key changes its meaning or goes."""

SHOWN = 40
"""How many lines of one kind the text shows; the JSON has all."""

_TAIL = 3  # words at the end of a sentence by which it is the same as another one


def exit_code(reports: Sequence[Report]) -> int:
    """The gravest of several reports' codes."""
    return Report("", "", tuple(step for report in reports for step in report.steps)).exit_code


def verdict(report: Report) -> str:
    """The report's verdict, one line."""
    return messages.verdict(report.steps, report.exit_code, updated=report.updated)


def digest_line(report: Report) -> str:
    """The closure's digest for people, "" where there is no closure."""
    return f"digest: {spoken(report.system, report.digest)}" if report.digest else ""


def as_text(reports: Sequence[Report]) -> str:
    """What was found, step by step, then the verdict and the closure's digest as the last lines."""
    return "\n".join(line for report in reports for line in _text(report))


def _text(report: Report) -> Iterator[str]:
    for step in report.steps:
        if step.findings or step.differences or step.verdicts:
            yield f"{messages.label(step)}: {step.summary}"
            yield from _limited([f"  {line}" for line in finding_lines(step)])
            yield from _limited(
                [f"  {one.verdict}: {one.name}" + (f" ({one.why})" if one.why else "") for one in step.verdicts]
            )
            for difference in step.differences:
                yield from (f"  {line}" for line in difference_lines(difference))
            yield ""
    yield f"verdict: {verdict(report)}"
    if report.digest:
        yield digest_line(report)


def finding_lines(step: Step) -> Iterator[str]:
    """The findings of a step; where what it needs is out of reach, the reason that many share is told once."""
    shared: dict[tuple[str, ...], list[Problem]] = {}
    for problem in step.findings:
        alone = step.code != MachineError.exit_code or "\n" in problem.what
        tail = (str(len(shared)),) if alone else tuple(problem.what.split()[-_TAIL:])
        shared.setdefault((*tail, problem.mend), []).append(problem)
    for some in shared.values():
        if len(some) == 1:
            yield from problem_lines(some[0])
            continue
        words = [problem.what.split() for problem in some]
        ends = takewhile(lambda column: len({*column}) == 1, zip(*map(reversed, words), strict=False))
        same = sum(1 for _ in ends)
        yield " ".join(words[0][len(words[0]) - same :])
        yield from hint(some[0].mend)
        for problem, each in zip(some, words, strict=True):
            yield f"  {': '.join(filter(None, (problem.where, ' '.join(each[: len(each) - same]))))}"


def problem_lines(problem: Problem) -> list[str]:
    """A finding as lines."""
    return str(problem).splitlines()


def difference_lines(difference: Difference) -> Iterator[str]:
    """A path that differs: hashes, where it comes from, files, causes, and how to see it again."""
    yield f"{difference.path}: {difference.said or 'has other content'}"
    yield f"  expected {difference.expected}"
    yield f"  found    {difference.found}"
    if difference.database is not None and difference.database not in {difference.expected, difference.found}:
        yield f"  database {difference.database}"
    yield from _limited([f"  {line}" for file in difference.files for line in file_lines(file)])
    told = {cause for file in difference.files for cause in file.causes}
    yield from (f"  cause: {cause}" for cause in difference.causes if cause not in told)
    if difference.repeat:
        yield f"  see it again: {difference.repeat}"
    if difference.diffoscope:
        yield from _limited([f"  | {line}" for line in difference.diffoscope.splitlines()])


def file_lines(file: FileDifference) -> list[str]:
    """A file that differs, and what its bytes tell of the cause."""
    named = f"{file.path or '(the path itself)'}: {file.change}"
    return [named + (f": {file.detail}" if file.detail else ""), *(f"  cause: {cause}" for cause in file.causes)]


def _limited(lines: list[str]) -> list[str]:
    if len(lines) <= SHOWN:
        return lines
    return [*lines[:SHOWN], f"  and {len(lines) - SHOWN:,} lines more (--json has all)"]


def as_json(reports: Sequence[Report], when: datetime | None = None) -> str:
    """All that was found, version 1; ``when`` (in UTC) it was."""
    document = {
        "version": JSON_VERSION,
        **({"time": f"{when:%Y-%m-%dT%H:%M:%SZ}"} if when else {}),
        "exitCode": exit_code(reports),
        "reports": [_report(report) for report in reports],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _report(report: Report) -> dict[str, Any]:
    return {
        "project": report.project,
        "system": report.system,
        "exitCode": report.exit_code,
        "verdict": verdict(report),
        "digest": report.digest or None,
        "paths": report.paths,
        "size": report.size,
        "updated": report.updated,
        "steps": [_step(step) for step in report.steps],
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "ok": step.ok,
        "exitCode": step.code,
        "summary": step.summary,
        "seconds": round(step.seconds, 3),
        "findings": [{"where": one.where, "what": one.what, "mend": one.mend or None} for one in step.findings],
        "verdicts": [{"name": one.name, "verdict": one.verdict, "why": one.why or None} for one in step.verdicts],
        "differences": [_difference(one) for one in step.differences],
    }


def _difference(one: Difference) -> dict[str, Any]:
    return {
        "path": one.path,
        "expected": one.expected,
        "found": one.found,
        "database": one.database,
        "said": one.said or None,
        "files": [
            {"path": file.path, "change": file.change, "detail": file.detail or None, "causes": list(file.causes)}
            for file in one.files
        ],
        "causes": list(one.causes),
        "repeat": one.repeat or None,
        "diffoscope": one.diffoscope,
    }
