"""``nixgen sync``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nixgen.cli import options

EXIT_CODES = (
    "Exit codes: 0 done, 1 with --check: something is stale, 2 a mistake in the input, 3 the machine lacks something, "
    "5 build failed."
)


def sync(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; name each stale file, and exit 1. Uses no network.")
    ] = False,
    environment: options.EnvironmentOption = "",
    no_build: Annotated[bool, typer.Option("--no-build", help="Do not build the environment.")] = False,
    record: Annotated[
        bool, typer.Option("--record", help="Build everything, and write nixgen.hashes.json, too.")
    ] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Pin nothing that needs the network.")] = False,
    mirror: options.MirrorOption = None,
    json: options.JsonOption = False,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """Bring locks, Nix files and environment up to date. After any change: `uv add`, an edit, `uv python pin`.

    Runs uv lock where pyproject.toml moved, pins what is new, writes the Nix files, builds the environment and .venv.
    Says what changed; a second run changes nothing. Of several environments it builds the default one, or that of the
    shell that it runs in; --env names another.

    Example: nixgen sync --check
    """
    from nixgen.console import console
    from nixgen.errors import Finding
    from nixgen.formats.jsontext import dumps
    from nixgen.sync import sync as implementation

    asked = implementation.Options(environment, not no_build, record, offline, tuple(mirror or ()))
    if check:
        stale = implementation.check(project, asked)
        if json:
            rows = [{"file": one.where, "problem": one.what, "mend": one.mend} for one in stale]
            console.result(dumps({"version": 1, "stale": rows}))
            raise typer.Exit(Finding.exit_code if stale else 0)
        if stale:
            raise Finding(stale)
        console.info("Everything is up to date.")
        return
    done = implementation.sync(project, asked)
    if json:
        console.result(done.as_json())
    if done.report is not None and not done.report.updated:
        from nixgen.check.report import output, text

        if not json:
            output.write([done.report], json=False, markdown=None, junit=None)
        raise typer.Exit(text.exit_code([done.report]))
