"""Runs outside programs: shows the command when asked, keeps the tail of stderr, never uses a shell."""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

from nixgen.console import console
from nixgen.errors import MachineError

if TYPE_CHECKING:
    from types import FrameType

_Word = TypeVar("_Word")

TAIL = 20
"""How many of the last lines of stderr a failure shows."""

_PATIENCE = 60.0  # seconds that a program has to end by itself, on a busy machine, too; a second Ctrl-C ends it at once
_AGAIN = 2.0  # seconds until it is asked again: Nix misses a signal that comes just before it waits for a builder
_OFTEN = 0.05  # seconds between two looks at whether it has


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

    def wait(self, *, timeout: float | None = None, data: bytes | None = None) -> Result:
        """Gives it ``data`` as its input, and waits for its end.

        Raises MachineError when it takes more than ``timeout`` seconds, and then kills it.
        """
        try:
            with console.waiting(Path(self._command[0]).name):
                out, err = self._process.communicate(data, timeout=timeout)
        except subprocess.TimeoutExpired:
            self.stop()
            raise MachineError.of(
                shown(self._command), f"did not end within {timeout:g} seconds", "run it by hand to see why"
            ) from None
        except BaseException:
            self.stop()
            raise
        return Result(self._command, self._process.returncode, _text(out or b""), _text(err))

    def stop(self) -> None:
        """Ends the program, if it still runs: asks it to, so that it can tidy up, and kills it if that takes long."""
        end(self._process)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


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
    stdin = subprocess.PIPE if input_pipe else subprocess.DEVNULL
    process = _opened(words, cwd=cwd, env=env, stdin=stdin, stdout=subprocess.PIPE, missing=missing)
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


def piped(first: Sequence[str], second: Sequence[str], *, env: Mapping[str, str] | None = None) -> Result:
    """Runs a program to its end with another's output as its input; its Result."""
    with subprocess.Popen(first, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as feeding:
        console.detail(f"$ {shown(first)} | {shown(second)}")
        try:
            reading = subprocess.run(second, env=env, stdin=feeding.stdout, capture_output=True, check=False)
        finally:
            if feeding.stdout is not None:
                feeding.stdout.close()
    return Result(tuple(second), reading.returncode, _text(reading.stdout), _text(reading.stderr))


def write_output(
    command: Sequence[str], file: IO[bytes], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> None:
    """Runs a program to its end, its output written to a file as it is. Raises MachineError when it fails."""
    process = _opened(tuple(command), cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=file, missing="")
    result = Running(tuple(command), process).wait()
    if result.code != 0:
        raise failure(result)


def follow(
    command: Sequence[str | Path],
    line: Callable[[str], object],
    *,
    env: Mapping[str, str] | None = None,
    missing: str = "",
) -> Result:
    """Runs a program to its end; ``line`` is called with each line of stderr as it comes. ``err`` is its tail.

    The program is ended when ``line`` raises, and at Ctrl-C; what is raised goes on when it has ended.
    """
    words = tuple(map(str, command))
    tail: deque[str] = deque(maxlen=TAIL)
    with tempfile.TemporaryFile() as out:
        process = _opened(words, env=env, stdin=subprocess.DEVNULL, stdout=out, missing=missing)
        try:
            assert process.stderr is not None  # noqa: S101 -- it is a pipe
            for raw in process.stderr:
                text = _text(raw)
                tail.append(text)
                line(text)
            process.wait()
        except BaseException:
            end(process)
            raise
        finally:
            if process.stderr is not None:
                process.stderr.close()
        out.seek(0)
        return Result(words, process.returncode, _text(out.read()), "".join(tail))


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends a program: asks it to, and kills it when it goes on for long or the user interrupts again."""
    if process.poll() is not None:
        return
    until = time.monotonic() + _PATIENCE
    try:
        while process.poll() is None and (now := time.monotonic()) < until:
            process.terminate()
            _read_on(process, min(until, now + _AGAIN))
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _read_on(process: subprocess.Popen[bytes], until: float) -> None:
    """Waits for the end of a program whose output nobody wants: a full pipe must not keep it from its end.

    Not for the end of the pipes: what it started may hold them for longer.
    """
    with selectors.DefaultSelector() as pipes:
        for pipe in (process.stdout, process.stderr):
            if pipe is not None and not pipe.closed:
                pipes.register(pipe, selectors.EVENT_READ)
        while process.poll() is None and time.monotonic() < until:
            for key, _ in pipes.select(_OFTEN):
                if not os.read(key.fd, 1 << 16):
                    pipes.unregister(key.fileobj)


def batches(words: Iterable[_Word], size: int = 400) -> Iterator[list[_Word]]:
    """The words in order, as many at a time as fit on a command line: 400 paths are some 40 KiB."""
    rest = iter(words)
    while some := list(islice(rest, size)):
        yield some


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


def _opened(
    words: tuple[str, ...],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: int,
    stdout: int | IO[bytes],
    missing: str,
) -> subprocess.Popen[bytes]:
    console.detail(f"$ {shown(words)}")
    whole = dict(os.environ if env is None else env)
    process: subprocess.Popen[bytes] | None = None
    try:
        with _held_back():
            process = subprocess.Popen(words, cwd=cwd, env=whole, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE)
    except FileNotFoundError:
        if cwd is not None and not cwd.is_dir():
            raise MachineError.of(str(cwd), "is not a folder") from None
        raise MachineError.of("", f"there is no program {words[0]}", missing) from None
    except OSError as error:
        raise MachineError.of(words[0], f"cannot be run: {error.strerror}", missing) from None
    except BaseException:
        if process is not None:
            end(process)
        raise
    return process


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """Signals that Python handles wait: a program that is just being started would have nobody who ends it."""
    handlers: dict[int, Callable[[int, FrameType | None], object]] = {}
    came: list[int] = []
    if threading.current_thread() is threading.main_thread():  # no other one may set them
        for number in (signal.SIGINT, signal.SIGTERM):
            if callable(handler := signal.getsignal(number)):
                handlers[number] = handler
                signal.signal(number, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        for handled, handler in handlers.items():
            signal.signal(handled, handler)
        for handled in came:
            handlers[handled](handled, None)
