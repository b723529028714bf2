"""Scripts with inline metadata (PEP 723) and a lock of their own, ``NAME.py.lock`` (``uv lock --script``).

Each is an environment with the script's name. The metadata's ``[tool.nixgen]`` says that a script is one of nixgen's;
in a folder without pyproject.toml it is where the settings stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nixgen.errors import Problem, UserError
from nixgen.formats import toml
from nixgen.formats.foreign import lookup, strings, table
from nixgen.project import uvlock

_BLOCK = r"(?m)^# /// script[ \t]*\n(?P<content>(?:^#(?: [^\n]*)?\n)+?)^# ///[ \t]*$"
_SUFFIX = ".py"
_OWN = ("systems", "smoke")
"""The settings that one script may have for itself; all others are the folder's."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script: ``path`` in the project, ``metadata`` its block as TOML; ``lock_text`` its lock, None without one."""

    path: str
    metadata: Mapping[str, Any]
    lock_text: str | None = field(default=None, repr=False)
    locked: uvlock.UvLock | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Its environment's name."""
        return re.sub(r"[^A-Za-z0-9_-]", "-", self.path.rpartition("/")[2].removesuffix(_SUFFIX))

    @property
    def lock(self) -> str:
        """The path of its lock."""
        return f"{self.path}.lock"

    @property
    def settings(self) -> Mapping[str, Any]:
        """Its ``[tool.nixgen]``."""
        return table(self.metadata, "tool", "nixgen")

    @property
    def requires_python(self) -> str | None:
        """A version specifier (PEP 440)."""
        found = self.metadata.get("requires-python")
        return found if isinstance(found, str) else None

    def as_pyproject(self) -> dict[str, Any]:
        """What it asks for, in the form of a pyproject.toml."""
        return {
            "project": {"dependencies": strings(self.metadata.get("dependencies"))},
            "tool": dict(table(self.metadata, "tool")),
        }


def block(text: str) -> str | None:
    """The TOML of a script's metadata, None where it has none. Raises ValueError where there are two blocks."""
    found = list(re.finditer(_BLOCK, text.replace("\r\n", "\n")))
    if len(found) > 1:
        raise ValueError("has two blocks of script metadata (# /// script)")
    lines = found[0]["content"].splitlines(keepends=True) if found else []
    return "".join(line[2:] if line.startswith("# ") else line[1:] for line in lines) if found else None


def with_block(text: str, content: str) -> str:
    """The script with another block in the place of the one that it has."""
    lines = "".join(f"# {line}\n" if line else "#\n" for line in content.rstrip("\n").split("\n"))
    new = re.sub(_BLOCK, lambda _: f"# /// script\n{lines}# ///", text.replace("\r\n", "\n"), count=1)
    return new.replace("\n", "\r\n") if "\r\n" in text else new


def names(root: Path, *, below: bool) -> list[str]:
    """The scripts with a lock in a folder, with ``below`` also those in its folders, by path."""
    found = [*root.glob("*.py.lock"), *(root.glob("[!.]*/*.py.lock") if below else ())]
    paths = (path.relative_to(root).as_posix().removesuffix(".lock") for path in found)
    return sorted(path for path in paths if (root / path).is_file())


def read(path: str, text: str, lock_text: str | None) -> Script:
    """A script. Raises UserError for one without metadata, and for metadata that cannot be read."""
    try:
        content = block(text)
        metadata = toml.loads(content) if content is not None else None
    except ValueError as error:
        raise UserError.of(path, f"its metadata cannot be read: {error}", "mend that line") from None
    if metadata is None:
        mend = f"write what it needs into it: uv add --script {path} NAME"
        raise UserError.of(path, "has no script metadata (PEP 723: # /// script)", mend)
    script = Script(path, metadata, lock_text)
    if not re.fullmatch(r"[A-Za-z].*", script.name):
        raise UserError.of(path, "the name of a script's environment begins with a letter", "give it another name")
    return Script(path, metadata, lock_text, uvlock.read(lock_text) if lock_text is not None else None)


def folder_settings(scripts: Iterable[Script], own: Mapping[str, Any] | None) -> dict[str, Any]:
    """The settings of a folder: ``own``, those of its pyproject.toml, else what its scripts say alike.

    Raises UserError where they differ.
    """
    found: dict[str, tuple[str, Any]] = {key: ("pyproject.toml", value) for key, value in (own or {}).items()}
    problems: list[Problem] = []
    systems: set[str] | None = set()
    for script in scripts:
        here = script.settings
        systems = None if systems is None or "systems" not in here else systems | set(strings(here["systems"]))
        for key, value in here.items():
            if key in _OWN:
                continue
            first, known = found.setdefault(key, (script.path, value if own is None else None))
            if known != value:
                what = f"is {value!r}, and {first} says {known!r}"
                mend = "all scripts and the project share it: make them the same, or take it out here"
                problems.append(Problem(f"{script.path}: tool.nixgen.{key}", what, mend))
    if problems:
        raise UserError(problems)
    values = {key: value for key, (_, value) in found.items()}
    if own is None and systems:
        values["systems"] = sorted(systems)
    return values


def same_names(scripts: Iterable[Script], taken: Iterable[str]) -> list[Problem]:
    """Scripts whose environments would be called as something else is."""
    seen = {name: f"tool.nixgen.environments.{name}" for name in taken}
    problems = []
    for script in scripts:
        if script.name in seen:
            what = f"its environment would be called {script.name}, as that of {seen[script.name]}"
            problems.append(Problem(script.path, what, "give one of the two another name"))
        seen.setdefault(script.name, script.path)
    return problems


def is_ours(script: Script) -> bool:
    """Whether nixgen makes an environment of it."""
    return lookup(script.metadata, "tool", "nixgen") is not None
