"""uv.lock files that lack hashes: some indexes give none, and then uv's export would fetch the files to make up for it.

So where hashes are missing, uv exports from a shadow of the project: its pyproject.toml files, and a uv.lock with the
hashes of nixgen.lock filled in, or :data:`UNKNOWN` where there is none yet. No network is needed, and nothing of the
project is touched.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from nixgen.resolve.model import FileHash

if TYPE_CHECKING:
    from nixgen.project.project import Project

_UP = "up"
_DEEPEST = 64  # folders; no project lies deeper

UNKNOWN = "0" * 64
"""Stands for a SHA-256 that nobody has told yet; it is not the hash of any known file."""

# A file's entry as uv writes it: one line, in a `wheels` list or as `sdist`, its place first and then its hash. What
# is at its beginning is looked for, and not tried at each character.
_FILE = re.compile(
    r'\{ (?:(?<=\n    \{ )|(?<=\nsdist = \{ ))(?:url|path|filename) = ("(?:[^"\\\n]++|\\.)*+")'
    r"(?!, hash = |[^\n]* hash = )"
)


@lru_cache(maxsize=1)
def lacking(lock: str) -> bool:
    """Whether a uv.lock lacks a hash."""
    return _FILE.search(lock) is not None


def filled(lock: str, hashes: Mapping[str, FileHash]) -> str | None:
    """The text of uv.lock with every missing hash filled in; None when none is missing."""
    if not lacking(lock):
        return None

    def fill(match: re.Match[str]) -> str:
        known = hashes.get(json.loads(match[1]))
        return f'{match[0]}, hash = "sha256:{known.sha256 if known else UNKNOWN}"'

    return _FILE.sub(fill, lock)


@contextmanager
def exportable(project: Project, hashes: Mapping[str, FileHash]) -> Iterator[Path]:
    """The folder to run ``uv export --frozen`` in: the project's own, or a shadow of it while the context is open."""
    text = filled(project.lock_text(), hashes)
    if text is None:
        yield project.root
        return
    with tempfile.TemporaryDirectory(prefix="nixgen-") as made:
        # As deep as the lock goes up: what it names outside of the project has a path there, too.
        depth = max((len(match) // len("../") for match in re.findall(r"(?:\.\./)+", text)), default=0)
        shadow = Path(made, *[_UP] * min(depth, _DEEPEST), "project").resolve()
        folders = {PurePosixPath(".")}
        for package in project.uv_lock().local:
            folders |= {PurePosixPath(value) for value in package.get("source", {}).values() if isinstance(value, str)}
        for folder in folders:
            if folder.is_absolute() or ".." in folder.parts:
                continue
            (shadow / folder).mkdir(parents=True, exist_ok=True)
            for name in ("pyproject.toml", "uv.toml"):
                if (project.root / folder / name).is_file():
                    shutil.copyfile(project.root / folder / name, shadow / folder / name)
        if project.script is not None:
            (shadow / project.script.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(project.path(project.script.path), shadow / project.script.path)
        (shadow / project.lock).write_text(text, encoding="utf-8")
        yield shadow


def relative(path: Path, root: Path, folder: Path) -> str:
    """A path that uv printed in ``folder`` (the project or its shadow), relative to the project where it can be."""
    top = folder.parent
    while top.name == _UP:
        top = top.parent
    if folder != root and path.is_relative_to(top):
        return Path(os.path.relpath(path, folder)).as_posix()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
