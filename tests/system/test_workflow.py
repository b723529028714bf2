"""This repository's workflow for the nixpkgs base, run by the double of GitHub's machines as far as it can be here.

nixpkgs is not reached from everywhere that tests run, so the base is Debian's; what each step types is what is tried.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from support.nix import ROOT, SYSTEM, Nix
from support.runner import Machine, run_job

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(not SYSTEM.endswith("-linux"), reason="the debian base is Linux"),
    pytest.mark.skipif(not os.environ.get("NIXGEN_TEST_BUILDS"), reason="slow: make test-builds"),
]


@pytest.fixture
def workflow() -> Any:
    parsed = yaml.safe_load((ROOT / ".github/workflows/nixpkgs.yml").read_text())
    parsed["env"]["NIXGEN_INIT_BASE"] = "debian"
    return parsed


def test_the_demonstration_is_run_checked_and_built_again(workflow: Any, nix28: Nix, tmp_path: Path) -> None:
    machine = Machine(nix28, tmp_path / "machine", ROOT, tmp_path / "artifacts")
    ran = run_job(machine, workflow, "demo", {"runner": "ubuntu-24.04", "python": "3.13"})
    assert ran.failed is None, ran.text[-4000:]
    assert "--base debian" in ran.text
    assert "The picture:" in ran.text
    assert "derivations built again gave the same bytes" in ran.text
