"""Where the forms of a report go: files, and one of them to stdout."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from nixgen.check.model import Report
from nixgen.check.report.junit import as_junit
from nixgen.check.report.markdown import as_markdown
from nixgen.check.report.text import as_json, as_text, digest_line, verdict
from nixgen.console import console
from nixgen.errors import UserError

_STDOUT = Path("-")


def allowed(json: bool, markdown: Path | None, junit: Path | None) -> None:  # noqa: FBT001 -- one for each option
    """Raises UserError when more than one form is to go to stdout."""
    given = {"--json": json, "--markdown -": markdown == _STDOUT, "--junit -": junit == _STDOUT}
    wanted = [name for name, asked in given.items() if asked]
    if len(wanted) > 1:
        raise UserError.of("", f"{' and '.join(wanted)} both print to stdout", "give one of them a file")


def write(reports: Sequence[Report], *, json: bool, markdown: Path | None, junit: Path | None) -> None:
    """Writes the forms that were asked for. Where none of them is for stdout, sentences are.

    Verdict and digest always end what a person sees: on stderr when stdout has another form. Raises OSError.
    """
    allowed(json, markdown, junit)
    forms = [(markdown, as_markdown), (junit, as_junit)]
    printed = "".join(form(reports) for place, form in forms if place == _STDOUT)
    if json:
        printed = as_json(reports, datetime.now(UTC))
    console.result(printed.rstrip("\n") or as_text(reports))
    if printed:
        for report in reports:
            console.info(f"verdict: {verdict(report)}")
            if report.digest:
                console.info(digest_line(report))
    for place, form in forms:
        if place is not None and place != _STDOUT:
            place.write_text(form(reports).rstrip("\n") + "\n", encoding="utf-8")
