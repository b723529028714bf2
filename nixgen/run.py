"""Runs outside programs: shows the command when asked, keeps the tail of stderr, never uses a shell."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nixgen.console import console
from nixgen.errors import MachineError

TAIL = 20
"""How many of the last lines of stderr a failure shows."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a program ended: its exit code (negative: the signal that killed it) and what it printed."""

    command: tuple[str, ...]
    code: int
    out: str
    err: str

    def tail(self, lines: int = TAIL) -> str:
        """The last lines of stderr."""
        return "\n".join(self.err.rstrip().splitlines()[-lines:])


class Running:
    """A program that was started; ``wait`` gives its Result. Several can run side by side."""

    def __init__(self, command: tuple[str, ...], process: subprocess.Popen[bytes]) -> None:
        self._command = command
        self._process = process

    def wait(self, *, timeout: float | None = None) -> Result:
        """Waits for the end. Raises MachineError when it takes more than ``timeout`` seconds, and then kills it."""
        try:
            out, err = self._process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.stop()
            raise MachineError.of(
                shown(self._command), f"did not end within {timeout:g} seconds", "run it by hand to see why"
            ) from None
        except BaseException:
            self.stop()
            raise
        return Result(self._command, self._process.returncode, _text(out), _text(err))

    def stop(self) -> None:
        """Ends the program, if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


def start(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    input_pipe: bool = False,
    missing: str = "",
) -> Running:
    """Starts a program, its output kept. ``env`` replaces the whole environment; ``missing`` says how to get it.

    Raises MachineError when there is no such program, or it may not be run.
    """
    words = tuple(map(str, command))
    console.detail(f"$ {shown(words)}")
    try:
        process = subprocess.Popen(
            words,
            cwd=cwd,
            env=dict(os.environ if env is None else env),
            stdin=subprocess.PIPE if input_pipe else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except FileNotFoundError:
        if cwd is not None and not cwd.is_dir():
            raise MachineError.of(str(cwd), "is not a folder") from None
        raise MachineError.of("", f"there is no program {words[0]}", missing) from None
    except OSError as error:
        raise MachineError.of(words[0], f"cannot be run: {error.strerror}", missing) from None
    return Running(words, process)


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
    check: bool = True,
    missing: str = "",
) -> Result:
    """Runs a program to its end. With ``check``, raises MachineError with the tail of stderr when it fails."""
    result = start(command, cwd=cwd, env=env, missing=missing).wait(timeout=timeout)
    if check and result.code != 0:
        raise failure(result)
    return result


def failure(result: Result) -> MachineError:
    """The error of a program that failed: the command, how it ended, the last lines that it printed."""
    ended = f"ended with exit code {result.code}" if result.code >= 0 else f"was killed by signal {-result.code}"
    printed = result.tail()
    return MachineError.of(shown(result.command), f"{ended}\n{printed}" if printed else ended)


def shown(command: Sequence[str]) -> str:
    """A command as one would type it."""
    return shlex.join(command)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
