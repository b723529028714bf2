"""The options that every command has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nixgen.cli import complete
from nixgen.console import console


def _quiet(value: bool) -> bool:  # noqa: FBT001 -- typer hands a flag over like this
    console.quiet = console.quiet or value
    return value


def _verbose(value: bool) -> bool:  # noqa: FBT001 -- the same
    console.verbose = console.verbose or value
    return value


ProjectOption = Annotated[
    Path,
    typer.Option(
        "--project",
        metavar="DIR",
        envvar="NIXGEN_PROJECT",
        help="The project's folder, or one inside it.",
        show_default="the current folder",
    ),
]
QuietOption = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        envvar="NIXGEN_QUIET",
        show_envvar=False,
        callback=_quiet,
        help="Print warnings, errors and results only.",
    ),
]
VerboseOption = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        envvar="NIXGEN_VERBOSE",
        show_envvar=False,
        callback=_verbose,
        help="Print the commands that are run.",
    ),
]
SystemOption = Annotated[
    list[str] | None,
    typer.Option("--system", metavar="SYSTEM", help="Only this system, like x86_64-linux. Can be repeated."),
]
PythonOption = Annotated[
    str | None, typer.Option("--python", metavar="VERSION", help="As if for this Python, like 3.12.")
]
EnvironmentOption = Annotated[
    str,
    typer.Option(
        "--env",
        "--environment",
        metavar="NAME",
        help="One of tool.nixgen.environments.",
        show_default=False,
        autocompletion=complete.environments,
    ),
]
MirrorOption = Annotated[
    list[str] | None,
    typer.Option(
        "--mirror",
        metavar="URL",
        help="A Debian mirror to use instead of this machine's own; twice to name the security archive too.",
    ),
]
PublicKeyOption = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", help="The public key of the signature (PEM).")
]
IdentityOption = Annotated[
    str | None, typer.Option("--identity", metavar="WHO", help="Expected signer identity (keyless).")
]
IssuerOption = Annotated[
    str | None, typer.Option("--issuer", metavar="URL", help="Expected issuer of that identity (OpenID Connect).")
]
NoSyncOption = Annotated[
    bool, typer.Option("--no-sync", help="Do not build the environment; locks and Nix files are written.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of sentences.")]

EXIT_CODES = "Exit codes: 0 done, 1 a finding, 2 a mistake in the input, 3 the machine lacks something."
"""The last line of every command's help."""

WITH_BUILD = EXIT_CODES.replace("something.", "something, 5 build failed.")
"""The same of those that build."""
