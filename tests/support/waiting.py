"""Waiting for what another process does: as long as it takes on a machine with other work, and no longer."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

PATIENCE = 240.0  # seconds: only what never comes takes so long; below each test's own time limit


def until(happened: Callable[[], object], *, running: subprocess.Popen[Any] | None = None) -> None:
    """Returns once it has happened; ``running`` is the process that is to make it happen and must not end before."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        ended = running is not None and running.poll() is not None
        assert not ended or happened(), f"ended with {running.returncode} before it happened"  # type: ignore[union-attr]
        assert time.monotonic() < deadline, f"did not happen within {PATIENCE:.0f} s"
        time.sleep(0.01)
