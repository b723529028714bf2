"""nixgen's own time: its help, and writing the files of small and large projects."""

from __future__ import annotations

import re
from pathlib import Path

from bench.locks import write_large_project
from bench.measure import Row, timed, within
from bench.project import CACHE, NIXGEN, nixgen, notebook


def help_text() -> list[Row]:
    """``nixgen --help``."""
    (series,) = timed([[NIXGEN, "--help"]], 21, warm=3)
    return [within("`nixgen --help`", series, 0.15)]


def generate() -> list[Row]:
    """``nixgen generate``: the notebook, and 390 packages with 5,000 wheels; all systems of the nixpkgs base."""
    small = notebook("nixpkgs")
    large = CACHE / "large"
    wheels = write_large_project(large)
    if not (large / "default.nix").exists():
        nixgen(large, "init", "--base", "nixpkgs")
    nixgen(large, "generate")
    commands = [[NIXGEN, "generate", "--project", str(folder)] for folder in (small, large)]
    one, two = timed(commands, 9, warm=1)
    systems = _targets(small / "nix" / "nixgen" / "base.nix")
    return [
        within(f"`nixgen generate`, notebook, {systems} targets", one, 0.6),
        within(f"`nixgen generate`, 390 packages, {wheels:,} wheels, {systems} targets", two, 1.5),
    ]


def _targets(base: Path) -> int:
    found = re.search(r"systems = \[(.*?)\]", base.read_text(), re.DOTALL)
    return found.group(1).count('"') // 2 if found else 0
