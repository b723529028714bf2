"""``nixgen shell``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nixgen.cli import options

CONTEXT = {"allow_interspersed_args": False}
"""How the command is registered: what follows COMMAND's first word is COMMAND's, options too."""

EXIT_CODES = (
    "Exit codes: COMMAND's, or the shell's; 2 a mistake in the input, 3 the machine lacks something, 4 stale, 5 build "
    "failed, 126 and 127 COMMAND cannot be run."
)


def shell(
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="COMMAND", help="Run this instead of a shell.", show_default=False),
    ] = None,
    environment: options.EnvironmentOption = "",
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """Enter the environment, building what is missing. With or without flakes, in your own shell: bash, zsh or fish.

    Nothing of the project is verified first: `nixgen run` does that for models and data.

    Example: nixgen shell -- python train.py
    """
    from nixgen.project.project import find_project
    from nixgen.sync import shell as implementation

    found = find_project(project)
    if environment:
        found.of(environment)
    raise typer.Exit(implementation.enter(found, environment, command or ()))
