"""``nixgen lock``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nixgen.cli import complete, options


def lock(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME...",
            help="With --upgrade: only these models and data.",
            show_default=False,
            autocompletion=complete.artifacts,
        ),
    ] = None,
    project: options.ProjectOption = Path(),
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Pin everything again: base, models and data. Prints what changed.")
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not use the network; say what is missing instead.")
    ] = False,
    mirror: options.MirrorOption = None,
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """Pin what uv.lock does not: base, builds, models and data. Hashes that uv.lock lacks, too.

    Where something is built from source it needs Nix, in whose sandbox sources are asked what they need. Pins that
    still fit the settings and models.toml are kept; a second run changes nothing.

    Example: nixgen lock --upgrade minilm
    """
    from nixgen.lock.pinning import Options
    from nixgen.lock.pinning import lock as run
    from nixgen.project.project import find_project

    asked = Options(upgrade=upgrade, names=tuple(names or ()), offline=offline, mirrors=tuple(mirror or ()))
    run(find_project(project), asked)
