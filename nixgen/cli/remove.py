"""``nixgen remove``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nixgen.cli import options

CONTEXT = {"ignore_unknown_options": True}
"""How the command is registered: options that are not nixgen's are uv's."""

EXIT_CODES = options.WITH_BUILD


def remove(
    words: Annotated[
        list[str],
        typer.Argument(metavar="PACKAGE...", help="What uv remove takes, its options included.", show_default=False),
    ],
    no_sync: options.NoSyncOption = False,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """Remove packages, as `uv remove` does, and sync. Where that fails, every file is as before.

    Everything that stands here and is not nixgen's is given to uv: see uv remove --help.

    Example: nixgen remove numpy
    """
    from nixgen.sync import sync, uvchange

    asked = sync.Options(build=not no_sync, offline="--offline" in words)
    uvchange.change(project, "remove", words, asked)
