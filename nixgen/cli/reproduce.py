"""``nixgen reproduce``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nixgen.cli import options

EXIT_CODES = (
    "Exit codes: 0 the same bytes, or the same metrics within tolerance, 1 something differs, 2 a mistake in the "
    "input, 3 it cannot be run again here."
)


def reproduce(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="latest, an id or its beginning or end, or a run's folder.")
    ],
    times: Annotated[int, typer.Option("--times", metavar="N", min=1, help="How many times to run it.")] = 1,
    tolerance: Annotated[
        list[str] | None,
        typer.Option("--tolerance", metavar="NAME=VALUE", help="By how much a metric may differ. Can be repeated."),
    ] = None,
    json: options.JsonOption = False,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """Repeat a recorded run, and compare its outputs. From its commit and its locks.

    In a checkout of its own, with models and data verified, the same command, config and seeds, and another number of
    cores. Outputs are compared by hash, metrics within a tolerance. The verdict is kept beside the run.

    Example: nixgen reproduce latest --tolerance auc=1e-6
    """
    from nixgen.console import console
    from nixgen.models.verify import find_lock
    from nixgen.runs import finding
    from nixgen.runs import reproduce as implementation

    root = find_lock(project).parent
    found = finding.find(root, run)
    verdicts = []
    for again in implementation.reproduce(root, found, times, tolerance or []):
        verdicts.append(again.found.verdict)
        text = implementation.as_json(again) if json else "\n".join(implementation.lines(again))
        console.result(text)
    if "differs" in verdicts:
        raise typer.Exit(1)
