"""The pages' sessions, typed as they stand there: what is printed is what they show."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.nix import ROOT, SYSTEM
from support.session import compare, play, steps

if TYPE_CHECKING:
    from support.nix import Nix

pytestmark = [pytest.mark.network, pytest.mark.skipif(not SYSTEM.endswith("-linux"), reason="the debian base is Linux")]

FIRST = ROOT / "docs" / "first-project.md"
CHECK = ROOT / "docs" / "check.md"
# The first steps of the first project, on which the other pages build.
SET_UP = (
    "cp -r examples/plot ~/plot",
    "cd ~/plot",
    "git init --quiet",
    "git add --all",
    "nixgen init --quiet --base debian",
)


def test_the_first_project_prints_what_its_page_shows(nix: Nix, tmp_path: Path) -> None:
    typed = steps(FIRST)
    assert len(typed) > 10
    compare(typed, play(nix, (), typed, tmp_path))


def test_a_check_prints_what_its_page_shows_and_the_digest_is_recomputed_without_nixgen(
    nix: Nix, tmp_path: Path
) -> None:
    typed = steps(CHECK)
    assert len(typed) > 2
    outputs = play(nix, SET_UP, typed, tmp_path)
    compare(typed, outputs)
    found = re.search(r"^digest: \S+ (.*)$", outputs[0], re.MULTILINE)
    assert found
    digest = found[1].replace(" ", "")

    by_hand, with_nix = re.findall(r"^```sh\n((?:jq|nix) .*?)^```$", CHECK.read_text(), re.MULTILINE | re.DOTALL)
    project = tmp_path / "home/plot"
    shell = subprocess.run(["sh", "-c", by_hand], cwd=project, check=True, capture_output=True, text=True)
    assert shell.stdout.split() == [digest, "-"]
    record = json.loads((project / "nixgen.hashes.json").read_text())["systems"][SYSTEM]
    assert record["digest"] == f"sha256:{digest}"
    for name in sorted(record["closure"])[:3]:
        command = re.sub(r"/nix/store/\S+", f"/nix/store/{name}", with_nix).split()
        said = nix.run(command[0], *command[1:]).stdout.strip()
        assert said == record["closure"][name]["narHash"]
