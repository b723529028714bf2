"""A check's report as Markdown: the summary of a CI job."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from nixgen.check.digest import spoken
from nixgen.check.model import Report, Step
from nixgen.check.report import messages, text

_MARKS = {True: "yes", False: "**no**", None: "not told"}
_QUESTIONS = {
    "stale": "Are the generated files up to date?",
    "recipe": "Is it the same recipe?",
    "build": "Does it build?",
    "bytes": "Are the bytes the same?",
    "rebuild": "Does building again give the same bytes?",
    "works": "Does it work?",
}


def as_markdown(reports: Sequence[Report]) -> str:
    """A heading with the verdict for each report, a table of its steps, its digest, and what was found."""
    return "\n".join(line for report in reports for line in _lines(report))


def _lines(report: Report) -> Iterator[str]:
    yield f"## {escaped(report.project)} on {escaped(report.system)}: {escaped(text.verdict(report).partition(':')[0])}"
    yield ""
    yield escaped(text.verdict(report))
    yield ""
    yield "| | | |"
    yield "|---|---|---|"
    for step in report.steps:
        yield f"| {_QUESTIONS[step.name]} | {_MARKS[step.ok]} | {escaped(step.summary)} |"
    yield ""
    if report.digest:
        yield f"Digest of the closure ({report.paths:,} paths): `{spoken(report.system, report.digest)}`"
        yield ""
    for step in report.steps:
        yield from _found(step)


def _found(step: Step) -> Iterator[str]:
    lines = [line for problem in step.findings for line in text.problem_lines(problem)]
    lines += [f"{one.verdict}: {one.name}" + (f" ({one.why})" if one.why else "") for one in step.verdicts]
    lines += [line for difference in step.differences for line in text.difference_lines(difference)]
    if lines:
        fence = "`" * max(3, 1 + max((len(run) for line in lines for run in re.findall("`+", line)), default=0))
        yield f"<details><summary>{escaped(messages.label(step))}: {len(lines):,} lines</summary>"
        yield from ("", f"{fence}text", *lines[: text.SHOWN * 5])
        if len(lines) > text.SHOWN * 5:
            yield f"and {len(lines) - text.SHOWN * 5:,} lines more"
        yield from (fence, "", "</details>", "")


def escaped(line: str) -> str:
    """Text in which nothing means anything to Markdown or HTML, on one line (CommonMark 2.4)."""
    flat = " ".join(line.split())
    return re.sub(r"([\\`*_{}\[\]<>|#~&])", r"\\\1", flat)
