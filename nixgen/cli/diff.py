"""``nixgen diff``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nixgen.cli import options

EXIT_CODES = (
    "Exit codes: 0 no bytes changed without a change of the recipe, 1 some did, 2 a mistake in the input, "
    "3 could not compare."
)


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="A record, or a revision of git.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The same.")],
    json: options.JsonOption = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, as for a pull request.")] = False,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """Show what changed between two records of hashes. Packages, models, size, and bytes that changed by themselves.

    Reads nixgen.hashes.json as it is at each revision; a file that exists goes before a revision of its name. Builds
    nothing, needs no Nix.

    Example: nixgen diff main HEAD
    """
    from nixgen.check import diffing
    from nixgen.console import console

    found = diffing.diff(project, old, new)
    render = diffing.as_json if json else diffing.as_markdown if markdown else diffing.as_text
    console.result(render(found))
    if found.unexplained:
        raise typer.Exit(1)
