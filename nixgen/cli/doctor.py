"""``nixgen doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nixgen.cli import options

EXIT_CODES = (
    "Exit codes: 0 done, nothing or only notes; 1 a finding; 2 a mistake in the input; 3 the machine lacks something."
)


def doctor(
    offline: Annotated[bool, typer.Option("--offline", help="Ask no server.")] = False,
    json: options.JsonOption = False,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """Find what keeps this machine from a working project.

    Looks at Nix and its settings, disks, certificates, proxies, binary caches, git, GPUs and the clock, and at the
    project where there is one. Each line has the command that mends it. Changes nothing.

    Example: nixgen doctor --json
    """
    from nixgen.console import console
    from nixgen.doctor import reading
    from nixgen.doctor import report as reports

    with console.step("looking at this machine"):
        found = reports.report(reading.read(project, offline=offline))
    if json:
        console.result(reports.as_json(found))
    else:
        console.results(reports.as_text(found))
    if found.exit_code:
        raise typer.Exit(found.exit_code)
