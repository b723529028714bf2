"""``nixgen archive``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nixgen.cli import artifacts, options

app = artifacts.group("archive", "Keep every source by its hash, for when servers lose it.")

EXIT_CODES = "Exit codes: 0 done, 1 a finding, 2 a mistake in the input, 3 the machine lacks something, 5 build failed."

AddressArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="ADDRESS",
        help="A folder, s3://bucket/prefix (gs, az), or a web server that takes PUT.",
        show_default="the first of [tool.nixgen] archive",
    ),
]
WithoutOption = Annotated[bool, typer.Option("--without-models", help="Leave out models and data.")]


@app.command(
    "push",
    help="Copy what the project is made from and an archive lacks.\n\n"
    "Wheels, source distributions, git trees, .deb files, models and data. Each lies under sha256/ by its hash, as "
    "Nix's setting hashed-mirrors reads it; a git tree as its NAR. What the store lacks is fetched first; each "
    "is compared with its hash.\n\n"
    "Example: nixgen archive push /srv/archive",
    epilog=EXIT_CODES,
)
def push(
    address: AddressArgument = None,
    without: WithoutOption = False,
    json: options.JsonOption = False,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen archive push``."""
    from nixgen.cache import archive
    from nixgen.console import console, size

    where, done = archive.push(project, address, models=not without)
    if json:
        _print(
            {"archive": where, "copied": [one.sha256 for one in done.copied], "bytes": done.size, "there": done.there}
        )
        return
    console.result(f"{where}: {len(done.copied)} files copied ({size(done.size)}), {done.there} were there")


@app.command(
    "verify",
    help="Compare an archive's files with their hashes.\n\n"
    "All bytes of what this project is made from are read again.\n\n"
    "Example: nixgen archive verify /srv/archive --all",
    epilog=EXIT_CODES,
)
def verify(
    address: AddressArgument = None,
    without: WithoutOption = False,
    everything: Annotated[bool, typer.Option("--all", help="Also what other projects keep there.")] = False,
    json: options.JsonOption = False,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the same
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen archive verify``."""
    from nixgen.cache import archive
    from nixgen.console import console, size
    from nixgen.errors import Finding

    found = archive.verify(project, address, models=not without, everything=everything)
    if json:
        problems = [{"where": one.where, "problem": one.what, "mend": one.mend} for one in found.problems]
        _print({"whole": found.whole, "bytes": found.size, "problems": problems})
    else:
        console.result(f"{found.whole} files ({size(found.size)}) are what their names say")
    if found.problems:
        raise Finding(found.problems)


@app.command(
    "gc",
    help="List what no project needs, or remove it.\n\n"
    "Needed is what this project and those of --keep are made from, now and at their git tags.\n\n"
    "Example: nixgen archive gc /srv/archive --keep ../other --delete",
    epilog=EXIT_CODES,
)
def gc(
    address: AddressArgument = None,
    keep: Annotated[
        list[Path] | None, typer.Option("--keep", metavar="FOLDER", help="Another project. Can be repeated.")
    ] = None,
    tags: Annotated[str, typer.Option("--tags", metavar="GLOB", help="Which git tags to keep; '' for none.")] = "*",
    delete: Annotated[bool, typer.Option("--delete", help="Remove what is listed.")] = False,
    json: options.JsonOption = False,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the same
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen archive gc``."""
    from nixgen.archive import copying
    from nixgen.cache import archive
    from nixgen.console import console

    files, names = archive.unneeded(project, address, keep or (), tags)
    if delete:
        with console.step(f"removing {len(names)} files"):
            copying.remove(files, names)
    if json:
        _print({"unneeded": names, "deleted": delete})
        return
    for name in names:
        console.result(name)
    told = "removed" if delete else "needed by none of the projects"
    console.info(
        f"{files.where}: {len(names)} files {told}" + ("" if delete or not names else "; --delete removes them")
    )


def _print(value: object) -> None:
    import json

    from nixgen.console import console

    console.result(json.dumps(value, indent=2))
