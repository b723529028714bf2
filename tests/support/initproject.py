"""A small project to run nixgen init on, and how to look at what became of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nixgen.errors import NixgenError
from nixgen.init.setup import Options, init

PYPROJECT = """\
[project]  # what uv knows
name = "demo"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["plain"]

[tool.uv]
package = false
"""
WHEEL = '{{ url = "https://files.example.org/{name}-1.0-{tags}.whl", hash = "sha256:{digest}", size = 10 }}'
UV_LOCK = """\
version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "demo"
version = "0.1.0"
source = {{ virtual = "." }}
dependencies = [{{ name = "plain" }}]

[package.metadata]
requires-dist = [{{ name = "plain" }}]

[[package]]
name = "plain"
version = "1.0"
source = {{ registry = "https://index.example.org/simple" }}
wheels = [
    {wheels},
]
"""
EVERY_FILE = {
    ".github/workflows/reproducibility.yml",
    ".gitattributes",
    ".gitignore",
    "default.nix",
    "flake.lock",
    "flake.nix",
    "nixgen.lock",
    "pyproject.toml",
    "shell.nix",
    "uv.lock",
}
Run = Callable[..., list[str]]


def uv_lock(*tags: str) -> str:
    wheels = (WHEEL.format(name="plain", tags=tag, digest=hashlib.sha256(tag.encode()).hexdigest()) for tag in tags)
    return UV_LOCK.format(wheels=",\n    ".join(wheels))


def tree(root: Path) -> dict[str, bytes]:
    found = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith(".git/")}


def outside_library(root: Path) -> set[str]:
    return {name for name in tree(root) if not name.startswith("nix/")}


def made(root: Path) -> Path:
    """The project, written into ``root``."""
    root.mkdir(parents=True)
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / "uv.lock").write_text(uv_lock("py3-none-any"))
    return root


def runner(capsys: pytest.CaptureFixture[str]) -> Run:
    """init; gives the lines that it said."""

    def call(root: Path, **options: Any) -> list[str]:
        capsys.readouterr()
        init(root, Options(**options))
        return capsys.readouterr().err.splitlines()

    return call


def problems(root: Path, **options: Any) -> list[str]:
    """The problems that init raises; it must not have written anything."""
    before = tree(root)
    with pytest.raises(NixgenError) as caught:
        init(root, Options(**options))
    assert tree(root) == before
    return [str(problem) for problem in caught.value.problems]
