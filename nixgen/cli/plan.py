"""``nixgen plan``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nixgen.cli import options

EXIT_CODES = options.WITH_BUILD.replace("5 build failed", "4 stale")

FoldersArgument = Annotated[
    list[Path] | None,
    typer.Argument(metavar="FOLDER", help="Projects, or folders above them.", show_default="the current folder"),
]


def plan(
    folders: FoldersArgument = None,
    system: Annotated[
        str, typer.Option("--system", metavar="SYSTEM", help="For this system.", show_default="this machine's")
    ] = "",
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """List what many projects are built from, each once.

    Evaluates all projects at and below the folders, and builds nothing. A project that cannot be evaluated is told at
    the end, and hides no other. `nixgen build --plan` takes what --json prints.

    Example: nixgen plan --json . > plan.json
    """
    from nixgen.check import facts
    from nixgen.console import console
    from nixgen.fleet import planning, report

    found = planning.plan(folders or [Path()], system or facts.system())
    console.result(found.json() if json else report.table(found))
    if error := found.error():
        raise error
