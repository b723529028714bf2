"""The command line: which commands there are, and the one place where errors become sentences and an exit code.

Each command lives in a module of its own, which imports what it needs when it runs: ``--help`` takes no longer than
Python and typer do.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn

import typer

from nixgen import __version__
from nixgen.cli import options
from nixgen.cli.show import show
from nixgen.console import console
from nixgen.errors import MachineError, NixgenError

INTERRUPTED = 130
"""The exit code after Ctrl-C: 128 and the number of the signal, as shells have it."""

app = typer.Typer(
    name="nixgen",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:  # noqa: FBT001 -- typer hands a flag over like this
    if value:
        typer.echo(f"nixgen {__version__}")
        raise typer.Exit


@app.callback(epilog=options.EXIT_CODES)
def nixgen(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Turn a uv project into an environment that any machine with Nix rebuilds byte for byte.

    Example: cd my-uv-project; nixgen init; nix develop
    """


for _command in (show,):
    app.command(epilog=options.EXIT_CODES)(_command)


def main() -> NoReturn:
    """Runs the command line and exits: 0 done, 1 a finding, 2 a mistake in the input, 3 the machine lacks something."""
    try:
        app(standalone_mode=True)
    except NixgenError as error:
        console.error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone (`nixgen show | head`). Python would complain again on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        console.error(_explained(error))
        sys.exit(MachineError.exit_code)
    sys.exit(0)


def _explained(error: OSError) -> MachineError:
    """What the system refused: no permission, no room, a path that is not what it should be."""
    return MachineError.of(str(error.filename or ""), error.strerror or str(error))
