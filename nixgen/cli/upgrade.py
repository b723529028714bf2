"""``nixgen upgrade``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nixgen.cli import options

EXIT_CODES = options.WITH_BUILD


def upgrade(
    packages: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PACKAGE]...", help="Only these, like numpy; without a name all.", show_default=False),
    ] = None,
    no_sync: options.NoSyncOption = False,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """Take newer versions of packages, and sync. Where that fails, every file is as before.

    The versions that pyproject.toml allows, as uv lock --upgrade takes them. Newer models, Python and libraries of the
    base: nixgen lock --upgrade.

    Example: nixgen upgrade numpy
    """
    from nixgen.sync import sync, uvchange

    uvchange.upgrade(project, packages or (), sync.Options(build=not no_sync))
