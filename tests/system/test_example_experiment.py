"""examples/experiment: `make experiment`, which checks each step's promise itself, and what its README shows of it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from support.nix import ROOT, SYSTEM, Nix
from support.session import KEPT

pytestmark = [pytest.mark.network, pytest.mark.skipif(not SYSTEM.endswith("-linux"), reason="the debian base is Linux")]

README = ROOT / "examples" / "experiment" / "README.md"
RUN = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")


@pytest.mark.one_nix
def test_the_whole_way_from_an_environment_to_production_and_back(nix: Nix, tmp_path: Path) -> None:
    folder = tmp_path / "experiment"
    reached = {name: os.environ[name] for name in KEPT if name in os.environ}
    env = {**reached, "NO_COLOR": "1", "UV_NO_PROGRESS": "1", "XDG_STATE_HOME": str(tmp_path / "state")}
    done = nix.inside(ROOT / ".ci" / "experiment", folder, cwd=ROOT, check=False, **env)
    assert done.returncode == 0, done.tail()
    printed = map(_alike, done.stderr.splitlines())
    blocks = re.findall(r"^```\n(\$ .*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    told = [_alike(line) for block in blocks for line in block.splitlines() if line != "…"]
    # What the page shows was printed, in this order; what stands between is left out.
    assert next((line for line in told if line not in printed), "") == ""
    assert (folder / "registry/experiment/cells/prod").resolve().name == "0.1.0"


def _alike(line: str) -> str:
    """A line without what another time or processor makes otherwise: runs, times, hashes, a number's last digits."""
    for pattern in (RUN, re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\dZ|T[\d:.]+Z)?"), re.compile(r"\b[0-9a-f]{12,64}\b")):
        line = pattern.sub("…", line)
    line = re.sub(r"(\.\d{6})\d+", r"\1", re.sub(r"[\d.]+ s\b", "… s", line))
    return " ".join(line.split())
