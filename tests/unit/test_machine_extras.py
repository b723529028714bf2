"""The command that installs an extra of nixgen."""

from __future__ import annotations

import shlex
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from nixgen.machine import extras

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_command_keeps_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda module: object() if module == "mlflow" else None)
    command = extras.install("remote").removeprefix("in a clone of nixgen: ")
    assert shlex.split(command)[-1] == ".[cache,data,mlflow,remote]"
    monkeypatch.setattr("importlib.util.find_spec", lambda _module: None)
    assert extras.install("cache").removeprefix("in a clone of nixgen: ") in (ROOT / "README.md").read_text()


def test_every_extra_is_known_and_named_where_it_is_installed() -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert known.keys() == extras.MODULES.keys()
    page = (ROOT / "docs/first-project.md").read_text()
    assert all(f"`{extra}`" in page for extra in known)
