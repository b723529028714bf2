"""``nixgen show``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nixgen.cli import options


def show(
    project: options.ProjectOption = Path(),
    system: Annotated[
        list[str] | None,
        typer.Option("--system", metavar="SYSTEM", help="Only this system, like x86_64-linux. Can be repeated."),
    ] = None,
    python: Annotated[
        str | None, typer.Option("--python", metavar="VERSION", help="As if for this Python, like 3.12.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """Show what would be installed for each target: packages, files, sizes, and what stands in the way.

    Reads uv.lock and, where there is one, nixgen.lock. Needs no Nix and no network.

    Example: nixgen show --system x86_64-linux --python 3.12
    """
    from nixgen.console import console
    from nixgen.generate import show as implementation
    from nixgen.project.project import find_project

    found = find_project(project)
    with console.step("resolving"):
        resolutions = implementation.resolutions(found, system or [], python)
    if json:
        console.result(implementation.as_json(found.name, resolutions))
    else:
        console.result(implementation.as_text(found.name, resolutions))
