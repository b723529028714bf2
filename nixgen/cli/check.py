"""``nixgen check``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nixgen.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nixgen.check.model import Report

EXIT_CODES = (
    "Exit codes: 0 identical, 1 differs, 2 a mistake in the input, 3 could not check, 4 stale, 5 build failed, "
    "6 no record; of several the gravest: 5, 1, 4, 3, 6."
)


def check(
    update: Annotated[
        bool, typer.Option("--update", help="Write this system's part of the record; the other systems stay.")
    ] = False,
    rebuild: Annotated[
        list[str] | None,
        typer.Option(
            "--rebuild",
            metavar="all|env|NAME",
            help="Build these again and compare bit for bit. Can be repeated.",
        ),
    ] = None,
    sample: Annotated[
        int | None, typer.Option("--sample", metavar="N", min=1, help="With --rebuild: only N of them, at random.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="NUMBER", help="Random seed: repeats an earlier sample.")
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="FILE", help="Compare the record with this one; build nothing."),
    ] = None,
    record: Annotated[
        Path | None, typer.Option("--record", metavar="FILE", help="Another record than nixgen.hashes.json.")
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="FILE", help="Write what is found here as a record, whatever the verdict."),
    ] = None,
    json: options.JsonOption = False,
    markdown: Annotated[
        Path | None,
        typer.Option("--markdown", metavar="FILE", help="Write a summary in Markdown to FILE; - prints it."),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write a JUnit report to FILE; - prints it.")
    ] = None,
    builders: Annotated[str | None, typer.Option("--builders", metavar="SPEC", help="Nix's remote builders.")] = None,
    store: Annotated[str, typer.Option("--store", metavar="URL", help="Nix's store to build in.")] = "",
    copy: Annotated[str, typer.Option("--copy", metavar="URL", help="Store to fetch the expected version from.")] = "",
    imports: Annotated[
        bool, typer.Option("--imports/--no-imports", help="Whether to test imports and smoke commands.")
    ] = True,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """Compare the build with the recorded hashes.

    Looks in this order: generated files, derivations, the build, the bytes of every path on the disk, with --rebuild
    a second build, and whether all can be imported. Changes nothing but what --update, --save and reports name.

    Example: nixgen check --rebuild all
    """
    from nixgen.check import against as records
    from nixgen.check import steps
    from nixgen.check.report import output, text

    output.allowed(json, markdown, junit)
    if (sample is not None or seed is not None) and not rebuild:
        raise typer.BadParameter("requires --rebuild", param_hint="--sample")
    if against is not None:
        if save is not None or update or rebuild:
            raise typer.BadParameter("builds nothing: --update, --save and --rebuild do", param_hint="--against")
        found: Sequence[Report] = records.against(project, record, against)
    else:
        asked = steps.Options(
            update=update,
            record=record,
            save=save,
            rebuild=tuple(rebuild or ()),
            sample=sample,
            seed=seed,
            store=store,
            builders=builders,
            copy=copy,
            works=imports,
        )
        found = [steps.check(project, asked)]
    output.write(found, json=json, markdown=markdown, junit=junit)
    code = text.exit_code(found)
    if code:
        raise typer.Exit(code)
