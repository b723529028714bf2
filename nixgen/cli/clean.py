"""``nixgen clean``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nixgen.cli import options


def clean(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove what is listed.")] = False,
    json: options.JsonOption = False,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """List what no project or shell needs any more, or remove it.

    Earlier environments of this project (.venv-…), what `nixgen init` moved aside (.venv.old1), kernels of projects
    that are gone, and temporary folders of shells and commands that have ended. Removes nothing without --yes, and
    never what is in use, a link, or another user's.

    Example: nixgen clean --yes && nix-collect-garbage
    """
    from nixgen import console as terminal
    from nixgen.errors import UserError
    from nixgen.local import clean as implementation
    from nixgen.project.project import find_project

    console = terminal.console
    try:
        found = find_project(project, lock=False)
    except UserError as error:
        if any(problem.where for problem in error.problems) or project != Path():
            raise
        found = None  # outside of a project
    leftovers = implementation.found(found)
    if yes:
        implementation.remove(leftovers)
    if json:
        console.result(implementation.as_json(leftovers, removed=yes))
        return
    if not leftovers:
        console.info("Nothing to remove.")
        return
    rows = implementation.as_rows(leftovers)
    console.result("\n".join(terminal.table(rows, right=frozenset({0}), indent="", width=terminal.width())))
    count = f"{len(rows)} folder{'s' if len(rows) > 1 else ''}, {terminal.size(sum(one.size for one in leftovers))}"
    if yes:
        console.info(f"Removed {count}. What they kept in the store: nix-collect-garbage")
    else:
        console.info(f"Removed nothing: {count}. To remove them: nixgen clean --yes")
