"""Every parser of what others write, on made-up input: it reads it or refuses it, in little memory and time.

The same few examples in each run; ``make fuzz`` makes new ones for FUZZ_SECONDS, all parsers together.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from budget import SHARE
from parsers import PARSERS
from support.nix import ROOT

EXAMPLES = 120
FOLDERS = ("", "tests", "tests/unit", "tests/nix", "tests/fuzz")

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(900 + 3 * SHARE)]


@pytest.mark.parametrize("name", PARSERS)
def test_made_up_input_is_read_or_refused(name: str, tmp_path: Path) -> None:
    words = [sys.executable, ROOT / "tests/fuzz/child.py", name, str(EXAMPLES), str(SHARE), "1", tmp_path / "input"]
    # One arena: each takes 64 MiB of addresses, which is what is limited.
    environment = {
        **os.environ, "PYTHONPATH": ":".join(str(ROOT / folder) for folder in FOLDERS), "MALLOC_ARENA_MAX": "1",
        "TMPDIR": str(tmp_path), "HOME": str(tmp_path), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    done = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    if done.returncode:
        data = (tmp_path / "input").read_bytes() if (tmp_path / "input").exists() else b""
        how = f"{name}: ended with {done.returncode} at {len(data)} bytes, beginning with {data[:300]!r}"
        pytest.fail(f"{how}\n{done.stderr[-6000:]}", pytrace=False)


def test_the_limits_are_real(tmp_path: Path) -> None:
    """A parser that takes memory or time, or raises anything else, is found."""
    for body, found in (
        ("bytes(400 << 20)", "MemoryError"),
        ("sum(0 for _ in iter(int, 1))", "TooSlowError"),
        ("{}[0]", "KeyError"),
    ):
        code = (
            "import child, parsers, pathlib\nfrom hypothesis import strategies\nchild.SECONDS = 1\n"
            f"parsers.PARSERS['x'] = lambda: parsers.Parser(lambda data: {body}, (b'x',))\n"
            "child.fuzz('x', 3, 0, 1, pathlib.Path('input'))\n"
        )
        environment = {**os.environ, "PYTHONPATH": ":".join(str(ROOT / folder) for folder in FOLDERS)}
        words = [sys.executable, "-c", code]
        done = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert found in done.stderr
