"""What a slow machine asks of a test: to wait as long as it takes, and not to mind that progress is shown."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from typing import Any

PATIENCE = 240.0  # seconds: only what never comes takes so long; below each test's own time limit

_PROGRESS = re.compile(r"^(?:\S.* …|[a-z]+ \d+ of \d+: .*|(?:building|hashing|checking): .*)\n", re.MULTILINE)


def without_progress(printed: str) -> str:
    """What a program printed, without the lines that it prints only where a step takes more than a second."""
    return _PROGRESS.sub("", printed)


def until(happened: Callable[[], object], *, running: subprocess.Popen[Any] | None = None) -> None:
    """Returns once it has happened; ``running`` is the process that is to make it happen and must not end before."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        ended = running is not None and running.poll() is not None
        assert not ended or happened(), f"ended with {running.returncode} before it happened"  # type: ignore[union-attr]
        assert time.monotonic() < deadline, f"did not happen within {PATIENCE:.0f} s"
        time.sleep(0.01)
