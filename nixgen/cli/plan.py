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
    engine: Annotated[
        str | None,
        typer.Option(
            "--for", metavar="ENGINE", help="Print its file instead: github, gitlab, slurm, kubernetes or hydra."
        ),
    ] = None,
    shards: Annotated[
        int, typer.Option("--shards", metavar="N", min=1, max=256, help="With --for: how many workers.")
    ] = 8,
    cache: Annotated[
        str | None, typer.Option("--cache", metavar="URL", help="With --for: the cache that the workers share.")
    ] = None,
    feature: Annotated[
        str, typer.Option("--feature", metavar="NAME", help="With --for: what these machines have besides, like gpu.")
    ] = "",
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """List what many projects are built from, each once.

    Evaluates all projects at and below the folders, and builds nothing. A project that cannot be evaluated is told at
    the end, and hides no other. `nixgen build --plan` takes what --json prints.

    With --for, prints the file that has an engine run the workers; it is yours to change.

    Example: nixgen plan --json . > plan.json
    """
    from nixgen.check import facts
    from nixgen.console import console
    from nixgen.fleet import asked, planning, report

    if engine is not None and json:
        raise typer.BadParameter("prints no JSON", param_hint="--for")
    kind = asked.known(engine, cache) if engine is not None else None
    found = planning.plan(folders or [Path()], system or facts.system())
    if kind is None:
        console.result(found.json() if json else report.table(found))
    else:
        console.result(asked.engine(kind, found, folders or [Path()], shards, cache, feature).rstrip("\n"))
    if error := found.error():
        raise error
