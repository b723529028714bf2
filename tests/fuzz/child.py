"""Reads made-up input with one parser, in a process that may not take much.

``child.py NAME EXAMPLES SECONDS SEED FILE``. The parser may return, or raise a refusal. Anything else ends the process
with 1: another exception, more than 300 MiB over what it had at the start, ten seconds of the processor for one input
(not of the clock: the machine may be busy), or a refusal that puts control characters on a terminal. FILE always holds
the input that is being read, so that it is known when the process dies.
"""

from __future__ import annotations

import io
import os
import random
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import NoReturn

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded

MEMORY = 300 << 20  # bytes
SECONDS = 10  # of the processor, for one input


class TooSlowError(BaseException):
    """One input took too long; nothing may catch it."""


def limit_memory() -> None:
    """From here on, so much more may be taken."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, resource.RLIM_INFINITY))


def too_slow(_signal: int, _frame: object) -> NoReturn:
    raise TooSlowError


def fuzz(name: str, examples: int, seconds: float, seed: int, file: Path) -> None:
    """The same examples for the same seed; with ``seconds`` others until they are over."""
    from parsers import PARSERS

    from nixgen.errors import NixgenError

    parser = PARSERS[name]()
    signal.signal(signal.SIGPROF, too_slow)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_TRUNC)

    def one(data: bytes) -> None:
        os.ftruncate(descriptor, os.pwrite(descriptor, data, 0))
        used = resource.getrusage(resource.RUSAGE_SELF)
        hard = int(used.ru_utime + used.ru_stime) + 3 * SECONDS  # what C code does not hear, the kernel ends
        resource.setrlimit(resource.RLIMIT_CPU, (hard, resource.RLIM_INFINITY))
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            parser.read(data)
        except (NixgenError, *parser.refusals) as refusal:
            shown(refusal)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)

    def shown(refusal: Exception) -> None:
        """As a terminal gets it."""
        from nixgen.console import console

        if not isinstance(refusal, NixgenError):
            assert str(refusal) or refusal.args or vars(refusal), "a refusal says why"
            return
        stderr, sys.stderr = sys.stderr, io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace")
        try:
            console.error(refusal)
            sys.stderr.seek(0)
            said = sys.stderr.read()
        finally:
            sys.stderr = stderr
        assert said.startswith("error: ")
        assert not [letter for letter in said if (letter < " " and letter not in "\t\n") or letter == "\x7f"], repr(
            said[:400]
        )

    limit_memory()
    end = time.monotonic() + seconds
    while True:
        phases = (Phase.generate, Phase.shrink) if seconds else (Phase.generate,)
        rules = settings(
            max_examples=examples, deadline=None, database=None, phases=phases, suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        seeded(seed)(rules(given(parser.inputs())(one)))()
        if time.monotonic() >= end:
            return
        seed = random.SystemRandom().getrandbits(32)


if __name__ == "__main__":
    try:
        fuzz(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]))
    except BaseException as error:  # noqa: BLE001 -- whatever it is, and without hypothesis's notes, which repeat the whole input
        frames = "".join(traceback.format_tb(error.__traceback__)[-8:])
        sys.exit(f"{frames}{type(error).__name__}: {str(error)[:500]}")
