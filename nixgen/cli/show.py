"""``nixgen show``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nixgen.cli import options

EXIT_CODES = (
    "Exit codes: 0 done, 1 a finding (--problems only), 2 a mistake in the input, 3 the machine lacks something."
)


def show(
    project: options.ProjectOption = Path(),
    system: options.SystemOption = None,
    python: options.PythonOption = None,
    environment: options.EnvironmentOption = "",
    problems: Annotated[
        bool, typer.Option("--problems", help="Print only what is wrong; exit 1 when anything is, else 0.")
    ] = False,
    sources: Annotated[
        bool, typer.Option("--sources", help="Ask where each source file can be had today. Needs Nix and a network.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """Show what would be installed, and what prevents it. Packages, files and sizes for each target.

    What is wrong comes first, then what is built from source, then one table of all targets. Reads uv.lock and, where
    there is one, nixgen.lock. Needs no Nix and no network.

    With --sources: each file's original address, archive and cache; --problems then shows what one place alone has.

    Example: nixgen show --system x86_64-linux --python 3.12
    """
    from nixgen.console import console, width
    from nixgen.generate import show as implementation
    from nixgen.project.project import find_project

    if sources:
        _sources(project, json=json, problems=problems)
        return
    found = find_project(project)
    with console.step("resolving"):
        report = implementation.report(found, system or [], python, environment)
    if json:
        console.result(implementation.as_json(report))
    elif problems:
        console.results(implementation.problems_as_text(report))
    else:
        console.results(implementation.as_text(report, width=width()))
    if problems and report.problems:
        raise typer.Exit(1)


def _sources(project: Path, *, json: bool, problems: bool) -> None:
    from nixgen.cache import archive, wherewords
    from nixgen.console import console

    rows = archive.whereabouts(project)
    rare = [row for row in rows if row.places <= 1]
    shown = rare if problems else rows
    if json:
        console.result(wherewords.as_json(shown))
    else:
        console.results(wherewords.as_text(shown, len(rows), problems=problems))
    if problems and rare:
        raise typer.Exit(1)
