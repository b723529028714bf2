"""``nixgen kernel``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nixgen.cli import artifacts, complete, options

app = artifacts.group("kernel", "Show the environment to notebooks: Jupyter, VS Code, PyCharm.")


@artifacts.command(
    app,
    "install",
    "Show this project's environment to notebooks, by its name.\n\n"
    "Builds the environment where it is missing, and writes a kernel for this user, where Jupyter, VS Code and PyCharm "
    "look. It has what `nix develop` sets, and follows the environment when that changes. Needs ipykernel among the "
    "dependencies.\n\n"
    "Example: nixgen kernel install",
)
def install(
    environment: options.EnvironmentOption = "",
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the option's callback has done its work
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen kernel install``."""
    from nixgen.console import console
    from nixgen.local import kernels
    from nixgen.project.project import find_project

    made = kernels.install(find_project(project), environment)
    console.info(f'Installed the kernel "{made.title}" in {made.folder}. To remove it: nixgen kernel remove')


@artifacts.command(
    app, "list", "List the kernels that nixgen wrote for this user.\n\nExample: nixgen kernel list --json"
)
def list_(
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the same
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen kernel list``."""
    from nixgen import console as terminal
    from nixgen.local import kernels

    found = kernels.known()
    if json:
        terminal.console.result(kernels.as_json(found))
    elif found:
        terminal.console.result("\n".join(terminal.table(kernels.as_rows(found), indent="", width=terminal.width())))
    else:
        terminal.console.info("no kernels yet; in a project: nixgen kernel install")


@artifacts.command(
    app,
    "remove",
    "Remove this project's kernels, or others by name. Only those that nixgen wrote.\n\nExample: nixgen kernel remove",
)
def remove(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME...",
            help="Names, as in nixgen kernel list.",
            show_default="this project's",
            autocompletion=complete.kernels,
        ),
    ] = None,
    project: options.ProjectOption = Path(),
    quiet: options.QuietOption = False,  # noqa: ARG001 -- the same
    verbose: options.VerboseOption = False,  # noqa: ARG001 -- the same
) -> None:
    """``nixgen kernel remove``."""
    from nixgen.console import console
    from nixgen.local import kernels
    from nixgen.project.project import find_project

    found = kernels.chosen(names or (), None if names else find_project(project, lock=False).root)
    kernels.remove(found)
    for kernel in found:
        console.info(f"Removed the kernel {kernel.name}.")
