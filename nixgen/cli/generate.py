"""``nixgen generate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nixgen.cli import options


def generate(
    project: options.ProjectOption = Path(),
    check: Annotated[
        bool,
        typer.Option("--check", help="Write nothing; name each stale, missing or extra file, and exit 1."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite or remove files in the way that nixgen did not write.")
    ] = False,
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """Write default.nix and nix/nixgen/ from uv.lock and nixgen.lock.

    Needs no network and no Nix: the same input gives the same bytes on every machine.

    Example: nixgen generate --check
    """
    from nixgen.console import console
    from nixgen.generate import planning
    from nixgen.generate import write as implementation
    from nixgen.project.project import find_project

    found = find_project(project)
    if check:
        implementation.check(found.root, planning.outputs(found))
        console.info("The generated files are up to date with uv.lock and nixgen.lock.")
    else:
        implementation.generate(found, force=force)
