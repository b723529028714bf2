"""The only wrapper round uv: where it is, how it is started, what its failures mean."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from nixgen import run
from nixgen.errors import MachineError, NixgenError, Problem, UserError

if TYPE_CHECKING:
    from nixgen.settings import Settings

_KEPT = frozenset({"UV_CACHE_DIR", "UV_NO_CACHE"})
_DRAWN = re.compile(r"\s*\d* \|")  # the lines that show the place in a file: a sentence has no room for them
_MISSING = "install it beside nixgen: pip install uv"


def binary() -> str:
    """The uv that belongs to nixgen (the PyPI package uv). Raises MachineError when it is not there."""
    try:
        import uv

        return os.fsdecode(uv.find_uv_bin())
    except (ImportError, FileNotFoundError):
        raise MachineError.of("", "uv is not installed", _MISSING) from None


def offline_environment() -> dict[str, str]:
    """The environment for a uv that only reads: no network, no download of a Python, no setting of the caller's.

    What nixgen writes must depend on the project alone, so a UV_INDEX_URL or UV_NO_DEV of the user's shell is left out.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith("UV_") or key in _KEPT}
    kept.pop("VIRTUAL_ENV", None)
    return kept | {"UV_OFFLINE": "1", "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", "NO_COLOR": "1"}


def start_export(root: Path, settings: Settings) -> run.Running:
    """Starts ``uv export`` of the whole lock, for all platforms, as pylock.toml (PEP 751) on stdout.

    The groups are uv's default groups unless the settings name them. Needs no Python interpreter and no network.
    """
    command = [binary(), "export", "--frozen", "--format", "pylock.toml", "--no-header"]
    if settings.groups is not None:
        command += ["--no-default-groups", *(f"--group={group}" for group in settings.groups)]
    command += [f"--extra={extra}" for extra in settings.extras]
    if settings.all_extras:
        command.append("--all-extras")
    return run.start(command, cwd=root, env=offline_environment(), missing=_MISSING)


def start_check(root: Path) -> run.Running:
    """Starts ``uv lock --check``, without the network: is uv.lock what pyproject.toml asks for?"""
    return run.start([binary(), "lock", "--check"], cwd=root, env=offline_environment(), missing=_MISSING)


def lock(root: Path) -> None:
    """Runs ``uv lock``, with the network and the user's own uv settings. Raises UserError with uv's explanation."""
    result = run.run([binary(), "lock"], cwd=root, check=False, missing=_MISSING)
    if result.code != 0:
        raise explained(result)


def explained(result: run.Result) -> NixgenError:
    """uv's own error as ours: its ``error:`` line, its causes, and its hint as what mends it."""
    lines = [line.strip() for line in result.err.splitlines() if line.strip() and not _DRAWN.match(line)]
    first = next((index for index, line in enumerate(lines) if line.startswith("error:")), None)
    if result.code < 0 or first is None:
        return run.failure(result)
    said: list[str] = []
    hints: list[str] = []
    for line in lines[first:]:
        (hints if line.startswith("hint:") else said).append(re.sub(r"^(error|hint|cause): ?", "", line))
    return UserError([Problem("uv", "; ".join(said), "; ".join(hints))])
