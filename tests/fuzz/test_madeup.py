"""The readers of servers' answers and of archives on made-up input (cases 31, 35), in a process with little memory."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.fuzz
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("what", "count"), [("answers", 600), ("archives", 600)])
def test_only_sentences(tmp_path: Path, what: str, count: int) -> None:
    seconds = os.environ.get("FUZZ_SECONDS", "")
    seed = random.randrange(1 << 32) if seconds else 0
    program = ROOT / "tests/fuzz/madeup.py"
    words = [sys.executable, program, what, tmp_path, str(seed), str(count), seconds or "0"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
