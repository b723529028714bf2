"""Ends what a backend leaves behind: a process that it made a daemon of could change what is built, and keep the build waiting.

This process becomes the parent of each whose own parent has ended (PR_SET_CHILD_SUBREAPER, prctl(2)), so that all of them
are found, whatever session or group they are in.
"""

import contextlib
import ctypes
import os
import signal
import sys

_SUBREAPER = 36


def adopt():
    """To be called before anything is started."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def end(group):
    """Ends all children, on macOS the processes of a group; how many of these there were, where that is known."""
    if sys.platform != "linux":
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)
    ended = 0
    while children := _children():
        for pid, ran in children:
            ended += ran
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(OSError):
                os.waitpid(pid, 0)
    return ended


def _children():
    """Children, each with whether it runs: one that has ended waits to be asked for its status."""
    found = []
    for name in os.listdir("/proc") if sys.platform == "linux" else ():
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                state, parent, *_ = file.read().rpartition(b")")[2].split()
        except (OSError, ValueError, IndexError):
            continue
        if name.isdigit() and int(parent) == os.getpid():
            found.append((int(name), state != b"Z"))
    return found
