"""``nixgen audit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nixgen.cli import options

EXIT_CODES = (
    "Exit codes: 0 none known, 1 a vulnerability, or an advisory that cannot be compared, 2 a mistake in the input, "
    "3 the machine lacks something."
)


def audit(
    database: Annotated[
        list[str] | None,
        typer.Option(
            "--database",
            metavar="PATH|URL",
            envvar="NIXGEN_ADVISORIES",
            show_envvar=False,
            help="Advisories in OSV's format: a folder, a zip, or a zip's address. Can be repeated.",
        ),
    ] = None,
    project: options.ProjectOption = Path(),
    environment: options.EnvironmentOption = "",
    system: options.SystemOption = None,
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """Look up which packages have known vulnerabilities.

    Packages of Python, Debian and Ubuntu, in a database that you name. Asks no network, but for the address of a
    database. What cannot be compared is printed as unknown.

    Example: nixgen audit --database pypi.zip --database debian.zip
    """
    from itertools import chain

    from nixgen.bom import audit as implementation
    from nixgen.bom.collect import collect
    from nixgen.bom.database import advisories
    from nixgen.console import console
    from nixgen.errors import UserError
    from nixgen.project.project import find_project

    if not database:
        mend = "nixgen audit --database FOLDER_OR_ZIP, or set NIXGEN_ADVISORIES; where to get one: docs/sbom.md"
        raise UserError.of("--database", "is not given: there is no database of advisories by default", mend)
    with console.step("resolving"):
        bom = collect(find_project(project), environment, system or [])
    with console.step("reading advisories"):
        found = implementation.audit(bom, chain.from_iterable(map(advisories, database)))
    if json:
        console.result(implementation.as_json(found))
    else:
        console.results(implementation.as_text(found))
    if found.findings or found.undecided:
        raise typer.Exit(1)
