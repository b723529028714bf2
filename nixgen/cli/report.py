"""``nixgen report``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from nixgen.cli import options

EXIT_CODES = (
    "Exit codes: 0 written, 1 written, and a record or log could not be read, 2 a mistake in the input, 3 the machine "
    "lacks something."
)


def report(
    run: Annotated[
        str,
        typer.Option("--run", metavar="RUN", help="The run: latest, an id or part of it, or a run's folder."),
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where to write; - prints.", show_default="report.html"),
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Markdown instead; printed without --out.")] = False,
    json: Annotated[bool, typer.Option("--json", help="JSON instead; printed without --out.")] = False,
    check: Annotated[
        Path | None, typer.Option("--check", metavar="FILE", help="What nixgen check --json printed.")
    ] = None,
    database: Annotated[
        list[str] | None,
        typer.Option(
            "--database",
            metavar="PATH|URL",
            envvar="NIXGEN_ADVISORIES",
            show_envvar=False,
            help="Advisories to look packages up in, as of nixgen audit.",
        ),
    ] = None,
    signed_by: Annotated[
        Path | None,
        typer.Option("--signed-by", metavar="FILE", help="The public key (PEM) that statements are signed with."),
    ] = None,
    environment: options.EnvironmentOption = "",
    system: Annotated[
        str, typer.Option("--system", metavar="SYSTEM", help="The system.", show_default="the run's")
    ] = "",
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """Write a page that shows a model's origin and checks.

    One file that loads nothing: checks, environment, models and data, lineage, metrics, promotions, and the checklist
    of a reproducible experiment. What was not looked at is unknown. SOURCE_DATE_EPOCH sets the time on it.

    Example: nixgen report --run latest --out report.html
    """
    from nixgen.bom import cyclonedx
    from nixgen.console import console
    from nixgen.errors import UserError
    from nixgen.machine import files
    from nixgen.project.project import find_project
    from nixgen.reports import render
    from nixgen.reports.checklist import report as made_of
    from nixgen.reports.collect import Asked, collect
    from nixgen.runs.model import REPORT_MARK

    if markdown and json:
        raise UserError.of("", "--markdown and --json are two forms", "give one of them")
    asked = Asked(run, environment, system, check, cyclonedx.epoch(os.environ), tuple(database or ()), signed_by)
    found = made_of(collect(find_project(project, lock=False), asked))
    text = (render.as_json if json else render.as_markdown if markdown else render.as_html)(found)
    for problem in found.facts.problems:
        console.warn(str(problem))
    if str(out) == "-" or (out is None and (markdown or json)):
        console.result(text.rstrip("\n"))
    else:
        place = out or Path("report.html")
        folder = place.absolute().parent
        if not folder.is_dir():
            raise UserError.of(str(folder), "is not a folder", "make it first")
        if out is None and place.exists() and REPORT_MARK.encode() not in files.contents(place)[:1000]:
            raise UserError.of(str(place), "is there, and no report wrote it", "name a file: --out FILE")
        files.write_all(folder, {place.name: f"{text.rstrip()}\n".encode()})
        held = sum(one.state == "yes" for one in found.checklist)
        console.info(f"{place}: {held} of {len(found.checklist)} points of the checklist hold")
    if found.facts.problems:
        raise typer.Exit(1)
