"""``nixgen data``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nixgen.cli import artifacts, options

app = artifacts.group("data", "Add, remove, list, fetch and compare the project's datasets.")


@artifacts.command(
    app,
    "add",
    "Add a dataset to models.toml; `nixgen sync` then pins it.\n\n"
    "Comments and everything else in the file stay.\n\n"
    "Example: nixgen data add transactions s3://ml-data/transactions/2024-07-31/ --format parquet",
)
def add(
    name: artifacts.NameArgument,
    source: artifacts.SourceArgument,
    revision: artifacts.RevisionOption = None,
    include: artifacts.IncludeOption = None,
    exclude: artifacts.ExcludeOption = None,
    layout: artifacts.LayoutOption = None,
    member: artifacts.MemberOption = None,
    sha256: artifacts.Sha256Option = None,
    repo: artifacts.RepoOption = None,
    endpoint: artifacts.EndpointOption = None,
    registry: artifacts.RegistryOption = None,
    format: Annotated[  # noqa: A002 -- the name of the option
        str | None,
        typer.Option("--format", metavar="NAME", help="What the files hold: arrow, csv, files, jsonl, parquet, tsv."),
    ] = None,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen data add``."""
    from nixgen.models import commands

    chosen = (include, exclude, layout, member)
    values = commands.values(source, revision, *chosen, sha256, repo, endpoint, registry, format)
    commands.add(project, "data", name, values)


artifacts.register(app, "data", "datasets", "transactions")


@artifacts.command(
    app,
    "diff",
    "Show what changed between two snapshots. Files, rows, schema, and the drift of columns.\n\n"
    "Each is a folder, a file, or a dataset of nixgen.lock: NAME, or NAME@REVISION as git has it at this revision. "
    "Exits with 1 when they differ.\n\n"
    "Example: nixgen data diff transactions@HEAD~1 transactions",
)
def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="A folder, a file, NAME or NAME@REVISION.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The same.")],
    project: options.ProjectOption = Path(),
    json: artifacts.JsonOption = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, as for a pull request.")] = False,
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the same
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen data diff``."""
    from nixgen.console import console
    from nixgen.data import render
    from nixgen.models import commands

    found = commands.diff(project, old, new)
    console.result((render.as_json if json else render.as_markdown if markdown else render.as_text)(found))
    if not found.empty:
        raise typer.Exit(1)
