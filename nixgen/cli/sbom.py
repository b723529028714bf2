"""``nixgen sbom``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from nixgen.cli import options

EXIT_CODES = (
    "Exit codes: 0 done, 1 something differs (--diff), 2 a mistake in the input, 3 the machine lacks something."
)


def sbom(
    project: options.ProjectOption = Path(),
    environment: options.EnvironmentOption = "",
    system: options.SystemOption = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write it to FILE.")] = None,
    diff: Annotated[
        Path | None, typer.Option("--diff", metavar="OLD", help="Show what changed since this bill of materials.")
    ] = None,
    new: Annotated[
        Path | None,
        typer.Option("--new", metavar="FILE", help="With --diff: compare with this one, not with the project."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="With --diff: print JSON instead of lines.")] = False,
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """Print an environment's bill of materials, in CycloneDX.

    It is JSON of version 1.6, and has the Python packages, those of the base, models and data, with versions, hashes,
    licences and what requires what. Needs no Nix and no network. The same project gives the same bytes;
    SOURCE_DATE_EPOCH sets the timestamp.

    Example: nixgen sbom --out sbom.json
    """
    from nixgen.bom import cyclonedx
    from nixgen.bom import diff as differing
    from nixgen.bom.collect import collect
    from nixgen.console import console
    from nixgen.errors import UserError
    from nixgen.machine import files
    from nixgen.project.project import find_project

    if diff is None and (new is not None or json):
        raise UserError.of("--new" if new is not None else "--json", "is for --diff", "add: --diff OLD")
    old = differing.read(diff) if diff is not None else None
    if old is not None and new is not None:
        document = differing.read(new)
    else:
        with console.step("resolving"):
            found = collect(find_project(project), environment, system or [])
        document = cyclonedx.document(found, cyclonedx.epoch(os.environ))
    if old is not None:
        changes = differing.changes(old, document)
        console.result(differing.as_json(changes) if json else differing.as_text(changes))
        if changes:
            raise typer.Exit(1)
        return
    text = cyclonedx.text(document)
    if out is None:
        console.result(text)
        return
    folder = out.absolute().parent
    if not folder.is_dir():
        raise UserError.of(str(folder), "is not a folder", "make it first")
    files.write_all(folder, {out.name: f"{text}\n".encode()})
    console.info(f"{out}: {len(document['components'])} components")
