"""What to type where there is no uv project yet, by what is there instead."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_INIT = "uv init --bare"
_FROM = "nixgen init --from {name}"
_LISTS = (
    ("requirements*.txt", _FROM),
    ("requirements/*.txt", _FROM),
    ("requirements*.in", _FROM),
    ("environment*.y*ml", _FROM),
    ("Pipfile", _INIT + ", then for each package that {name} lists: uv add NAME"),
    ("setup.cfg", _INIT + ", then for each of install_requires in {name}: uv add NAME"),
    ("setup.py", _INIT + ", then for each of install_requires in {name}: uv add NAME"),
    ("*.ipynb", _INIT + ", then for each package that {name} imports: uv add NAME"),
    ("*.py", _INIT + ", then for each package that {name} imports: uv add NAME"),
)
"""Files that tell what a project needs, the most telling first."""


def without_pyproject(folder: Path) -> str:
    """What makes a uv project of a folder that has no pyproject.toml."""
    for pattern, command in _LISTS:
        for path in sorted(folder.glob(pattern), key=_plainest):
            if path.is_file():
                return f"make a uv project of it: {command.format(name=_shown(path.relative_to(folder)))}"
    return "go to a uv project, or make one: uv init"


def without_project(folder: Path, tool: Mapping[str, object]) -> str:
    """The same where pyproject.toml is there without [project]: uv init refuses that."""
    if "poetry" in tool:
        return "make a uv project of it: nixgen init --from poetry"
    lists = [
        path.relative_to(folder) for path in sorted(folder.glob("requirements*.txt"), key=_plainest) if path.is_file()
    ]
    if lists:
        return f"make a uv project of it: {_FROM.format(name=_shown(lists[0]))}"
    return 'write [project] into it, with name = "…", version = "0.1.0", requires-python = ">=3.11"; then: uv add NAME'


def _plainest(path: Path) -> tuple[int, Path]:
    """requirements.txt comes before requirements-dev.txt."""
    return len(path.stem), path


def _shown(path: Path) -> str:
    text = path.as_posix()
    return text if text.replace("/", "").replace(".", "").replace("-", "").replace("_", "").isalnum() else repr(text)
