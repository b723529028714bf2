"""The command line: which commands there are, and the one place where errors become sentences and an exit code.

Each command lives in a module of its own, which is imported when the command is run, and imports what it needs:
``--help`` takes no longer than Python and typer do.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import cache
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from nixgen import __version__
from nixgen.cli import options
from nixgen.console import ReaderGoneError, console
from nixgen.errors import MachineError, NixgenError

COMMANDS = {
    "init": "Set up a uv project for `nix develop`.",
    "sync": "Bring locks, Nix files and environment up to date.",
    "add": "Add packages, as `uv add` does, and sync.",
    "remove": "Remove packages, as `uv remove` does, and sync.",
    "upgrade": "Take newer versions of packages, and sync.",
    "shell": "Enter the environment, building what is missing.",
    "lock": "Pin what uv.lock does not: base, builds, models and data.",
    "generate": "Write default.nix and nix/nixgen/ from uv.lock and nixgen.lock.",
    "show": "Show what would be installed, and what prevents it.",
    "why": "Show what pulls a package in.",
    "verify": "Compare the files of models and data with their pins.",
    "run": "Verify models and data, then run a task or COMMAND.",
    "tasks": "List the project's tasks.",
    "runs": "List, show, compare, export, verify and log recorded runs.",
    "reproduce": "Repeat a recorded run, and compare its outputs.",
    "check": "Compare the build with the recorded hashes.",
    "diff": "Show what changed between two records of hashes.",
    "model": "Add, remove, list, fetch and sign the project's models.",
    "data": "Add, remove, list, fetch and compare the project's datasets.",
    "registry": "Publish and promote models, and prove their history.",
    "image": "Build and push OCI images of environments, services and models.",
    "bundle": "Put a project and its environment into one file.",
    "sbom": "Print an environment's bill of materials, in CycloneDX.",
    "report": "Write a page that shows a model's origin and checks.",
    "audit": "Look up which packages have known vulnerabilities.",
    "doctor": "Find what keeps this machine from a working project.",
    "kernel": "Show the environment to notebooks: Jupyter, VS Code, PyCharm.",
    "clean": "List what no project or shell needs any more, or remove it.",
    "schema": "Print the JSON Schema of a file, for editors.",
    "build": "Build projects, or one worker's share of many.",
    "plan": "List what many projects are built from, each once.",
    "archive": "Keep every source by its hash, for when servers lose it.",
    "cache": "Share builds in a binary cache with a tamper-evident log.",
}
"""The commands, and the first sentence of each one's help."""

INTERRUPTED = 130
"""The exit code after Ctrl-C: 128 and the number of the signal, as shells have it."""


TERMINATED = 143
"""The same for SIGTERM, which a job's runner sends when its time is over."""


READER_GONE = 141
"""The same for SIGPIPE: nobody reads what is printed any more, so nobody is told what was found."""


_UsageError: Any = typer.BadParameter.__base__
"""What is raised for a word that no command knows: click's class, which typer keeps in a place of its own."""


class _Terminated(KeyboardInterrupt):
    """SIGTERM: ends a command as Ctrl-C does, so that what it started is ended, too, and what it left is cleared."""


class Edge(TyperGroup):
    """Where errors end: each problem becomes a sentence on stderr, each class of error its exit code."""

    def __init__(self, **given: Any) -> None:  # noqa: ANN401 -- what typer gives to a group
        """The commands as ``--help`` lists them."""
        super().__init__(**given)
        for name, summary in COMMANDS.items():
            self.add_command(TyperCommand(name, help=summary))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:  # noqa: ANN401 -- click's
        """The command that is run, in full."""
        name, found, rest = super().resolve_command(ctx, args)
        return name, found and command(str(name)), rest

    def main(self, *given: Any, **more: Any) -> Any:  # noqa: ANN401 -- click's
        """Runs a command and exits; what is wrong with its words is told as every other mistake is."""
        try:
            code = super().main(*given, **{**more, "standalone_mode": False})
        except NixgenError as error:
            _fail(error, None)
        except OSError as error:  # by an option that does its work at once: --install-completion
            _fail(MachineError.of(str(error.filename or ""), error.strerror or str(error)), None)
        except typer.Abort:
            sys.exit(1)
        except _UsageError as error:
            from nixgen.cli import usage

            if type(error).__name__ == "NoArgsIsHelpError":  # without a word, the help is the answer
                error.show()
                sys.exit(2)
            words = error.ctx.command_path.split() if error.ctx else []
            _fail(usage.told(error), words[1] if len(words) > 1 else None)
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 -- click's type, which typer keeps in a place of its own
        """Runs the command: exits with 1 for a finding, 2 for a mistake in the input, 3 for what the machine lacks."""
        outside = signal.getsignal(signal.SIGINT)
        try:
            if callable(outside):
                signal.signal(signal.SIGINT, signal.default_int_handler)
            return self._told(ctx)
        except ReaderGoneError:
            # Python would complain again on its way out.
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            sys.exit(READER_GONE)
        finally:
            signal.signal(signal.SIGINT, outside or signal.SIG_DFL)

    def _told(self, ctx: Any) -> Any:  # noqa: ANN401 -- the same
        from nixgen.machine import folders

        try:
            if not {"-h", "--help"} & {*ctx._protected_args, *ctx.args}:  # noqa: SLF001 -- click has no other name
                from nixgen.nix import stores

                folders.check_temporary()
                stores.refuse_renamed()
            return super().invoke(ctx)
        except NixgenError as error:
            _fail(error, ctx.invoked_subcommand)
        except KeyboardInterrupt as error:
            console.interrupted(_left(ctx.invoked_subcommand))
            sys.exit(TERMINATED if isinstance(error, _Terminated) else INTERRUPTED)
        except ReaderGoneError:
            raise
        except OSError as error:
            _fail(MachineError.of(str(error.filename or ""), error.strerror or str(error)), ctx.invoked_subcommand)


def _left(command: str | None) -> str:
    """What a command that was interrupted left in the project, where that is certain."""
    from nixgen.machine import files

    # They write the project's files at their end, and nothing else in it; uv.lock, which uv writes, counts as a file.
    undone = {"add", "remove", "upgrade"}
    sure = command in {"generate", "init", "lock", "sync"} | undone and not files.changed()
    return "nothing in the project was changed" if sure else ""


def _fail(error: NixgenError, command: str | None) -> NoReturn:
    from nixgen.cli import usage

    usage.name_variables(error, command)
    console.error(error)
    sys.exit(error.exit_code)


app = typer.Typer(
    name="nixgen",
    cls=Edge,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
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


@cache
def command(name: str) -> Any:  # noqa: ANN401 -- click's type
    """One of ``COMMANDS`` with all that it has, from its module."""
    from nixgen.cli import usage

    module = import_module(f"{__name__}.{name}")
    found = get_command(module.app) if hasattr(module, "app") else _alone(module, name)
    usage.give_variables(found, name)
    return found


def _alone(module: Any, name: str) -> Any:  # noqa: ANN401 -- a module's attributes, click's type
    """A command that is no group, from the function of its name."""
    alone = typer.Typer(rich_markup_mode=None, add_completion=False)
    settings, codes = getattr(module, "CONTEXT", None), getattr(module, "EXIT_CODES", options.EXIT_CODES)
    kind = getattr(module, "Parsed", TyperCommand)
    alone.command(name, cls=kind, epilog=codes, context_settings=settings)(getattr(module, name))
    return get_command(alone)


def main() -> NoReturn:
    """Runs the command line and exits: 0 done, 1 a finding, 2 a mistake in the input, 3 the machine lacks something."""
    signal.signal(signal.SIGTERM, _terminate)
    app()
    raise AssertionError("typer exits by itself")  # pragma: no cover


def _terminate(_signal: int, _frame: object) -> NoReturn:
    raise _Terminated
