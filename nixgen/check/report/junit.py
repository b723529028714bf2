"""A check's report as JUnit XML, which CI systems read: a test suite for each report, a test case for each step."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from nixgen.check.model import Report, Step
from nixgen.check.report import text
from nixgen.errors import MachineError

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, 2.2: Char


def as_junit(reports: Sequence[Report]) -> str:
    """The form that Jenkins, GitLab and others read: failures for findings, errors for what could not be checked."""
    suites = "".join(_suite(report) for report in reports)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n{suites}</testsuites>\n'


def _suite(report: Report) -> str:
    failures = sum(step.code not in {0, MachineError.exit_code} for step in report.steps)
    errors = sum(step.code == MachineError.exit_code for step in report.steps)
    skipped = sum(step.ok is None and not step.code for step in report.steps)
    head = {
        "name": f"nixgen check {report.project} {report.system}",
        "tests": str(len(report.steps)),
        "failures": str(failures),
        "errors": str(errors),
        "skipped": str(skipped),
        "time": f"{sum(step.seconds for step in report.steps):.3f}",
    }
    cases = "".join(_case(report, step) for step in report.steps)
    out = f"    <system-out>{_text(text.as_text([report]))}</system-out>\n"
    return f"  <testsuite {_attributes(head)}>\n{cases}{out}  </testsuite>\n"


def _case(report: Report, step: Step) -> str:
    head = {"classname": f"nixgen.check.{report.system}", "name": step.name, "time": f"{step.seconds:.3f}"}
    start = f"    <testcase {_attributes(head)}"
    if not step.code:
        inner = f"<skipped {_attributes({'message': step.summary})}/>" if step.ok is None else ""
        return f"{start}>{inner}</testcase>\n" if inner else f"{start}/>\n"
    kind = "error" if step.code == MachineError.exit_code else "failure"
    lines = [str(problem) for problem in step.findings]
    lines += [f"{one.verdict}: {one.name} {one.why}".rstrip() for one in step.verdicts]
    lines += [line for difference in step.differences for line in text.difference_lines(difference)]
    told = _attributes({"message": step.summary, "type": step.name})
    return f"{start}>\n      <{kind} {told}>{_text(chr(10).join(lines))}</{kind}>\n    </testcase>\n"


def _attributes(values: dict[str, str]) -> str:
    return " ".join(f"{key}={quoteattr(_allowed(value))}" for key, value in values.items())


def _text(value: str) -> str:
    return escape(_allowed(value))


def _allowed(value: str) -> str:
    """Without the characters that XML cannot hold, even escaped."""
    return _FORBIDDEN.sub("\ufffd", value)
