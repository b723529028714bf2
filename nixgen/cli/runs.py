"""``nixgen runs``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nixgen.cli import artifacts, options

app = artifacts.group("runs", "List, show and compare recorded runs.")

RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="latest, an id or its beginning or end, or a run's folder.")
]


@artifacts.command(
    app,
    "list",
    "List the recorded runs, the latest first.\n\nA + behind the commit: the tree had changes.\n\n"
    "Example: nixgen runs list",
)
def list_(
    json: options.JsonOption = False,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen runs list``."""
    from nixgen import console as terminal
    from nixgen.models.verify import find_lock
    from nixgen.runs import finding, listing

    found = finding.runs(find_lock(project).parent)
    if json:
        terminal.console.result(listing.as_json(found))
    elif found:
        terminal.console.result("\n".join(listing.lines(found, terminal.width())))
    else:
        terminal.console.info("no runs yet; record one: nixgen run --record -- COMMAND")


@artifacts.command(app, "show", "Show what was recorded of a run.\n\nExample: nixgen runs show latest")
def show(
    run: RunArgument = "latest",
    json: options.JsonOption = False,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen runs show``."""
    from nixgen.console import console
    from nixgen.models.verify import find_lock
    from nixgen.runs import finding, listing

    found = finding.find(find_lock(project).parent, run).run
    console.result(listing.as_json(found) if json else "\n".join(listing.whole(found)))


@artifacts.command(
    app,
    "diff",
    "Show what differs between two runs: inputs first, then the machine, then what came out.\n\n"
    "Code, data, models, configuration by key, environment by package, seeds, variables, metrics, outputs. Exits "
    "with 1 when results differ and no recorded input does.\n\n"
    "Example: nixgen runs diff 3fa2c1 latest",
)
def diff(
    old: Annotated[
        str, typer.Argument(metavar="OLD", help="latest, an id or its beginning or end, or a run's folder.")
    ],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The same.")] = "latest",
    json: options.JsonOption = False,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen runs diff``."""
    from nixgen.console import console
    from nixgen.models.verify import find_lock
    from nixgen.runs import finding, lineage

    root = find_lock(project).parent
    found = lineage.compare(root, finding.find(root, old), finding.find(root, new))
    console.result(lineage.as_json(found) if json else lineage.as_text(found))
    if found.unexplained:
        raise typer.Exit(1)
