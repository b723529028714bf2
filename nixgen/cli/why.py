"""``nixgen why``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nixgen.cli import options

EXIT_CODES = "Exit codes: 0 done, 1 not in uv.lock, 2 a mistake in the input, 3 the machine lacks something."


def why(
    package: Annotated[str, typer.Argument(metavar="PACKAGE", help="A package of uv.lock, like numpy.")],
    project: options.ProjectOption = Path(),
    system: options.SystemOption = None,
    python: options.PythonOption = None,
    environment: options.EnvironmentOption = "",
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """Show what pulls a package in. For each package that requires it, the shortest path from the project.

    Reads uv.lock; extras, dependency groups and markers are named. Needs no Nix and no network.

    Example: nixgen why numpy
    """
    from nixgen.console import console
    from nixgen.errors import UserError
    from nixgen.generate import show
    from nixgen.generate import why as implementation
    from nixgen.project.project import find_project

    found = find_project(project)
    answer = implementation.why(found, package, show.targets(found, system or [], python, environment), environment)
    if json:
        console.result(implementation.as_json(answer))
    elif answer.found:
        console.result(implementation.as_text(answer))
    if not answer.found:
        if not json:
            console.error(UserError([answer.problem]))
        raise typer.Exit(1)
