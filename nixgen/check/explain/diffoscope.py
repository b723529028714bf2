"""diffoscope's report on two store paths, where the program is installed (https://diffoscope.org)."""

from __future__ import annotations

import shutil
from pathlib import Path

from nixgen.errors import MachineError
from nixgen.machine import process

SECONDS = 60.0
"""How long diffoscope may take."""

LARGEST = 20_000
"""How many characters of its report are kept."""

_SAME, _DIFFERENT = 0, 1


def report(expected: Path, found: Path) -> str | None:
    """The beginning of the text report; None where there is no diffoscope, or it takes too long or fails."""
    program = shutil.which("diffoscope")
    if program is None:
        return None
    command = (program, "--text", "-", "--max-text-report-size", str(LARGEST), "--no-progress", expected, found)
    try:
        result = process.start(list(map(str, command))).wait(timeout=SECONDS)
    except MachineError:
        return None
    if result.code not in (_SAME, _DIFFERENT) or not result.out.strip():
        return None
    text = result.out
    return text if len(text) <= LARGEST else f"{text[:LARGEST]}\n… (the rest: {process.shown(result.command)})"
