"""The guard as a program: it checks, then becomes the command."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from .checking import check
from .manifest import read, select
from .model import REFUSED, GuardError, Tree
from .stamp import STAMP_AGE, Stamp, default_stamps
from .words import shown

_WIDTH = 100  # of the help


def guard(
    trees: Sequence[Tree],
    command: Sequence[str],
    *,
    stamp: Stamp | None,
    nix: bool = True,
    report: str = "text",
    env: Mapping[str, str] | None = None,
) -> int:
    """Checks, then becomes ``command``; without one, returns 0 or 1. Returns :data:`REFUSED` when it must not start.

    The report goes to stderr, without a command to stdout.
    """
    result = check(trees, stamp=stamp, nix=nix)
    text = result.json() if report == "json" else result.text()
    if not result.ok and report != "json":
        started = "\nThe command was not started." if command else ""
        text = f"error: {text}{started}\n  hint: {result.mend()}"
    stream = sys.stderr if command else sys.stdout
    stream.write(text.encode("utf-8", "backslashreplace").decode() + "\n")
    stream.flush()
    if not command:
        return 0 if result.ok else 1
    return become(command, env) if result.ok else REFUSED


def become(command: Sequence[str], env: Mapping[str, str] | None = None) -> int:
    """Replaces this process by the command; returns 126 or 127 when that cannot be done."""
    import signal

    # Python ignores these two, and what is ignored stays so over exec.
    for name in ("SIGPIPE", "SIGXFSZ"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        os.execvpe(command[0], list(command), dict(os.environ if env is None else env))  # noqa: S606 - no shell
    except OSError as error:
        sys.stderr.write(f"error: {shown(command[0])}: cannot be run: {error.strerror}\n")
        return 127 if isinstance(error, FileNotFoundError) else 126


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; its exit code."""
    import argparse

    given = list(sys.argv[1:] if arguments is None else arguments)
    command: list[str] = []
    if "--" in given:
        place = given.index("--")
        given, command = given[:place], given[place + 1 :]
    parser = argparse.ArgumentParser(
        prog="guard",
        usage="python -I -S guard --expected FILE [options] [NAME ...] [-- COMMAND ...]",
        # With a width it need not ask for the terminal's, for which it imports half of the standard library.
        formatter_class=lambda prog: argparse.HelpFormatter(prog, width=_WIDTH),
        description="Verify models and data, then run COMMAND.",
        epilog="Exit codes: COMMAND's; 1 not the pinned files, and no COMMAND; 2 a mistake in the input; 3 the machine "
        f"lacks something; {REFUSED} not the pinned files, COMMAND not started; 126, 127 COMMAND cannot be run.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a model or dataset of FILE (default: all)")
    parser.add_argument("--expected", metavar="FILE", required=True, help="nixgen.lock, or JSON of expected files")
    parser.add_argument("--root", metavar="DIR", help="where the files lie")
    parser.add_argument("--stamp", metavar="DIR", help="where the stamp is kept (default: this user's state)")
    parser.add_argument("--no-stamp", action="store_true", help="hash every file, and leave no stamp")
    parser.add_argument("--stamp-age", metavar="SECONDS", type=float, default=STAMP_AGE, help="(default: %(default)s)")
    parser.add_argument("--no-nix", action="store_true", help="do not ask Nix about store paths")
    parser.add_argument("--report", choices=("text", "json"), default="text", help="(default: %(default)s)")
    options = parser.parse_args(given)
    folder = None if options.no_stamp else options.stamp or default_stamps()
    try:
        trees = select(read(options.expected, options.root), options.names)
        stamp = Stamp(folder, options.stamp_age) if folder else None
        return guard(trees, command, stamp=stamp, nix=not options.no_nix, report=options.report)
    except GuardError as error:
        sys.stderr.write(f"error: {error}\n" + (f"  hint: {error.hint}\n" if error.hint else ""))
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"error: {error.filename or ''}: {error.strerror}\n")
        return 3
    except KeyboardInterrupt:
        return 130
