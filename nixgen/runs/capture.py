"""Runs a command as if nothing stood between it and the terminal, and keeps what it prints.

Its input is this process's own. What it prints goes on as it comes, byte for byte, and into two files; never more than
a piece of it is in memory. Where stdout or stderr is a terminal, the command sees one, too: what it prints is not held
back in its buffers, and progress bars and colours are there. It stays in this process's group, so that Ctrl-C reaches
it from the terminal itself.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import selectors
import signal
import subprocess
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Self

from nixgen.console import size as shown_size
from nixgen.errors import MachineError

_PIECE = 1 << 16
_ROOM = 1 << 20  # what a pipe may hold; of what is printed, a process that is gone leaves no more
_ENDING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
_SIGNALLED = 128  # and the signal's number: the exit code in shells


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: its exit code as shells have it, and whether a signal was to end it.

    ``began`` and ``ended`` are of the monotonic clock. ``lost`` says what of its output the files have not.
    """

    code: int
    interrupted: bool
    began: float
    ended: float
    lost: tuple[str, ...] = ()


def run(command: Sequence[str], env: Mapping[str, str], out: Path, err: Path) -> Ended:
    """Runs a command to its end, with its output in two new files, too. Whatever becomes of these, it goes on.

    Raises OSError where they cannot be made, MachineError where the command cannot be started.
    """
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(_Stream(path, live)) for path, live in ((out, 1), (err, 2))]
        signals = stack.enter_context(_Signals(streams))
        began = time.monotonic()
        try:
            child = subprocess.Popen(command, env=dict(env), stdout=streams[0].theirs, stderr=streams[1].theirs)
        except OSError as error:
            raise MachineError.of(command[0], f"cannot be run: {error.strerror}") from None
        signals.begin(child)
        ended = _streamed(child, streams)
        code = child.returncode
        return Ended(
            code=code if code >= 0 else _SIGNALLED - code,
            interrupted=signals.came or -code in signals.numbers,
            began=began,
            ended=ended,
            lost=tuple(stream.lost for stream in streams if stream.lost),
        )


def _streamed(child: subprocess.Popen[bytes], streams: Sequence[_Stream]) -> float:
    """Passes on what comes until the command has ended; when it has.

    What it leaves behind in the background may hold the pipes for longer: what itself has printed is there by then.
    """
    wake, woken = os.pipe()
    ended: list[float] = []

    def waited() -> None:
        child.wait()
        ended.append(time.monotonic())
        os.close(woken)

    threading.Thread(target=waited, daemon=True).start()
    with selectors.DefaultSelector() as ready:
        ready.register(wake, selectors.EVENT_READ)
        for stream in streams:
            stream.begin()
            ready.register(stream.ours, selectors.EVENT_READ, stream)
        while not ended:
            for key, _ in ready.select():
                if key.data is not None and not key.data.pass_on():
                    ready.unregister(key.fileobj)
    os.close(wake)
    for stream in streams:
        stream.drain()
    return ended[0]


class _Stream:
    """One of the two outputs: a pipe, or a terminal where ours is one, a file, and where it goes on to."""

    def __init__(self, path: Path, live: int) -> None:
        self.lost = ""
        self._name = path.name
        self._live = live
        self._seen = True
        self._written = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        self.terminal = _is_terminal(live)
        try:
            self.ours, self.theirs = _terminal(live) if self.terminal else os.pipe()
        except OSError:  # no terminal is left: a pipe is always there
            self.terminal = False
            self.ours, self.theirs = os.pipe()
        self._open = {self._file, self.ours, self.theirs}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._open:
            os.close(descriptor)

    def begin(self) -> None:
        """The other end is the command's alone from now on."""
        self._open.discard(self.theirs)
        os.close(self.theirs)
        with contextlib.suppress(OSError, AttributeError):
            fcntl.fcntl(self.ours, fcntl.F_SETPIPE_SZ, _ROOM)

    def pass_on(self, size: int = _PIECE) -> int:
        """Passes on a piece that is there; its size, 0 at the end."""
        try:
            piece = os.read(self.ours, size)
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno != errno.EIO:  # how Linux tells that nobody has the terminal any more
                raise
            return 0
        self._show(piece)
        self._keep(piece)
        return len(piece)

    def drain(self) -> None:
        """Passes on what is there, without waiting for more."""
        os.set_blocking(self.ours, False)
        left = _ROOM
        while left > 0 and (size := self.pass_on()):
            left -= size

    def resize(self) -> None:
        """Tells the command's terminal how large ours is."""
        if self.terminal:
            with contextlib.suppress(OSError):
                size = fcntl.ioctl(self._live, termios.TIOCGWINSZ, bytes(8))
                fcntl.ioctl(self.ours, termios.TIOCSWINSZ, size)

    def _show(self, piece: bytes) -> None:
        """Where nobody reads on (``| head``), the run is worth more than the line that ends there."""
        left = memoryview(piece)
        while left and self._seen:
            try:
                left = left[os.write(self._live, left) :]
            except BlockingIOError:
                select.select([], [self._live], [])
            except OSError:
                self._seen = False

    def _keep(self, piece: bytes) -> None:
        left = memoryview(piece)
        while left and not self.lost:
            try:
                count = os.write(self._file, left)
            except OSError as error:
                so_far = shown_size(self._written)
                self.lost = f"{self._name}: what was printed after the first {so_far} ({error.strerror})"
            else:
                self._written += count
                left = left[count:]


class _Signals:
    """What is done with signals while a command runs: it gets them, and this process goes on to the end of the record.

    Ctrl-C reaches the whole group from its terminal. Without one, or in the background, it was sent to this process
    alone, as SIGTERM always is, and is passed on.
    """

    def __init__(self, streams: Sequence[_Stream]) -> None:
        self.came = False
        self.numbers = [getattr(signal, name) for name in _ENDING]
        self._child: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        self._streams = streams
        self._before: dict[int, signal._HANDLER] = {}

    def __enter__(self) -> Self:
        for number in self.numbers:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup: the command ignores it, too
                self._before[number] = signal.signal(number, self._handle)
        if any(stream.terminal for stream in self._streams):
            self._before[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, self._resize)
            for stream in self._streams:
                stream.resize()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def begin(self, child: subprocess.Popen[bytes]) -> None:
        """From now on ``child`` gets them."""
        self._child = child
        for number in self._early:
            child.send_signal(number)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.came = True
        if number in {signal.SIGINT, signal.SIGQUIT} and _in_foreground():
            return
        if self._child is None:
            self._early.append(number)
        else:
            self._child.send_signal(number)

    def _resize(self, _number: int, _frame: FrameType | None) -> None:
        for stream in self._streams:
            stream.resize()


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def _terminal(like: int) -> tuple[int, int]:
    """The two ends of a new terminal, set as another one, but that bytes come out as they went in."""
    ours, theirs = os.openpty()
    attributes = termios.tcgetattr(like)
    attributes[1] &= ~termios.OPOST  # the real one does that
    termios.tcsetattr(theirs, termios.TCSANOW, attributes)
    return ours, theirs


def _in_foreground() -> bool:
    """Whether this process's group is the one that its terminal's keys send signals to."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
