"""Crates of runs, by RO-Crate's own validator with the Process Run Crate profile, and by its own library."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support import crates

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from exported import project

from nixgen.runs.export import export
from nixgen.runs.model import Git

pytestmark = pytest.mark.network

UNKNOWN = {
    "process-run-crate-0.5_3.2 ./#environment",  # an environment is a path in a store: it has no address
    "process-run-crate-0.5_5.1 http://schema.org/SoftwareApplication",  # the profile's own slip: it judges the class
    "process-run-crate-0.5_5.1 http://schema.org/SoftwareSourceCode",
    "process-run-crate-0.5_8.6 ./#run",  # who ran it is not recorded
    "ro-crate-1.1_22.2 ./",  # its author
    "ro-crate-1.1_22.3 ./",  # its publisher
}
"""What a record does not have, and the standard only recommends."""


def test_the_validator_finds_nothing(tmp_path: Path) -> None:
    whole = project(tmp_path / "whole", git=Git("1" * 40, "main", "https://git.example.org/a.git"))
    written = export(tmp_path / "whole", whole, tmp_path / "crate", "MIT")
    found = crates.issues(tmp_path / "crate")
    assert found["required"] == []
    assert {" ".join(one.split()[:2]) for one in found["recommended"]} <= UNKNOWN
    assert len(found["read"]) == len(written) - 1, "its own library reads each file"


def test_a_run_that_failed_and_has_little(tmp_path: Path) -> None:
    small = project(tmp_path / "small", {}, status="failed", exit=1, git=None, environment=None, config=())
    export(tmp_path / "small", small, tmp_path / "crate")
    assert crates.issues(tmp_path / "crate")["required"] == []
