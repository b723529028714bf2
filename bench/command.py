"""nixgen's own time: its help, and writing the files of small and large projects."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from bench.locks import write_large_project
from bench.measure import Row, ratio, timed, within
from bench.project import CACHE, NIXGEN, nixgen, notebook
from nixgen.resolve import uv


def help_text() -> list[Row]:
    """``nixgen --help``."""
    ours, python = timed([[NIXGEN, "--help"], [sys.executable, "-I", "-c", "pass"]], 21, warm=3)
    return [
        within("`nixgen --help`", ours, 0.1),
        ratio("`nixgen --help`, times the start of Python alone", ours, python, 8, "`python -I -c pass`"),
    ]


def show() -> list[Row]:
    """Resolving 390 packages with 5,000 wheels beside ``uv export``: one system, and all of a base."""
    large = CACHE / "large"
    wheels = write_large_project(large)
    python = ["--python", "3.13", "--json", "--project", str(large)]
    export = [uv.binary(), "export", "--frozen", "--format", "pylock.toml", "--quiet", "--project", str(large)]
    one, whole, theirs = timed(
        [[NIXGEN, "show", "--system", "x86_64-linux", *python], [NIXGEN, "show", *python], export], 15, warm=2
    )
    return [
        ratio(f"`nixgen show`, 390 packages, {wheels:,} wheels, 1 target", one, theirs, 4, "`uv export`"),
        ratio("the same, 4 targets", whole, theirs, 4, "`uv export`"),
    ]


def sbom() -> list[Row]:
    """``nixgen sbom`` of 390 packages with 5,000 wheels."""
    large = CACHE / "large"
    write_large_project(large)
    if not (large / "default.nix").exists():
        nixgen(large, "init", "--base", "nixpkgs")
    (ours,) = timed([[NIXGEN, "sbom", "--system", "x86_64-linux", "--project", str(large)]], 11, warm=2)
    return [within("`nixgen sbom`, 390 packages", ours, 1.0)]


def report() -> list[Row]:
    """``nixgen report`` of the same project: the time, and how large the page is."""
    large = CACHE / "large"
    write_large_project(large)
    if not (large / "default.nix").exists():
        nixgen(large, "init", "--base", "nixpkgs")
    page = large / "report.html"
    (ours,) = timed([[NIXGEN, "report", "--project", str(large), "--out", str(page), "--quiet"]], 11, warm=2)
    size = page.stat().st_size
    return [
        within("`nixgen report`, 390 packages", ours, 2.0),
        Row("the same, its page", f"{size / 1e6:.2f} MB", "≤ 2 MB", size <= 2_000_000),
    ]


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
