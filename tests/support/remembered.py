"""What uv said of a project, remembered by what is in it: hundreds of tests ask it about the same few.

Only what went well is remembered, and only of projects that are one pyproject.toml.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nixgen.machine import process
from nixgen.project.project import Project
from nixgen.resolve import uv

if TYPE_CHECKING:
    import pytest

# What uv reads of a project; whatever else a test puts there does not change what it says.
READ = ("pyproject.toml", "uv.lock", "uv.toml", ".python-version", ".python-versions")
_answers: dict[str, process.Result] = {}
_stand_ins: dict[tuple[str, str], Any] = {}
_locks: dict[str, bytes] = {}


class Running:
    """As process.Running: a uv that has ended already."""

    def __init__(self, result: process.Result) -> None:
        self._result = result

    def wait(self, *, timeout: float | None = None) -> process.Result:  # noqa: ARG002 -- process.Running has it
        return self._result

    def stop(self) -> None:
        pass


def answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """``uv export`` of a project like an earlier one answers at once, and so does a stand-in."""
    start, kept_answer = uv._start, uv._answer

    def answer(kept: Path, sides: str) -> dict[str, Any] | None:
        """What this or another test's cache folder has of it."""
        if found := kept_answer(kept, sides):
            _stand_ins[kept.name, sides] = found
        return found or _stand_ins.get((kept.name, sides))

    def remembered(command: Sequence[str], project: Project, folder: Path, nowhere: Path) -> process.Running | Running:
        read = [_read(folder), _read(project.root)]
        if None in read or project.script is not None:
            return start(command, project, folder, nowhere)
        places = {str(nowhere): "@nowhere@", str(folder): "@folder@"}
        key = f"{uv.binary()} {[_put(word, places) for word in command]} {read}"
        if key not in _answers:
            result = start(command, project, folder, nowhere).wait()
            if result.code:
                return Running(result)
            _answers[key] = replace(result, out=_put(result.out, places), err=_put(result.err, places))
        back = {name: place for place, name in places.items()}
        found = _answers[key]
        return Running(replace(found, out=_put(found.out, back), err=_put(found.err, back)))

    monkeypatch.setattr(uv, "_start", remembered)
    monkeypatch.setattr(uv, "_answer", answer)


def lock(root: Path) -> None:
    """``uv lock``, or what it gave for the same pyproject.toml without a package index."""
    read = _read(root)
    text = (root / "pyproject.toml").read_text()
    key = "" if read is None or "dependencies" in text or "index" in text else read
    if key not in _locks:
        # Told which Python, uv looks at no other: a tenth of the time.
        subprocess.run([uv.binary(), "lock", "--quiet", "--python", sys.executable], cwd=root, check=True)
        if key:
            _locks[key] = (root / "uv.lock").read_bytes()
    elif not (root / "uv.lock").exists() or (root / "uv.lock").read_bytes() != _locks[key]:
        (root / "uv.lock").write_bytes(_locks[key])


def _read(folder: Path) -> str | None:
    """A digest of what uv reads of a project, [tool.nixgen] not; None where it may read more than that."""
    found = [folder / name for name in READ]
    above = [parent / name for parent in folder.parents for name in READ]
    if any(map(os.path.lexists, above)) or any(path.is_symlink() for path in found):
        return None
    try:
        table = tomllib.loads(found[0].read_text())
        data = [path.read_bytes() if path.is_file() else path.exists() for path in found[1:]]
    except (OSError, ValueError):
        return None
    table.get("tool", {}).pop("nixgen", None)
    text = repr(table)
    if any(word in text for word in ("path", "workspace", "dynamic", "build-system", "..")):
        return None
    return hashlib.sha256(repr((text, data)).encode()).hexdigest()


def _put(text: str, places: dict[str, str]) -> str:
    for place, name in places.items():
        text = text.replace(place, name)
    return text
