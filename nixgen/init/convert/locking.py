"""A draft becomes a uv project: uv writes its requirements and its lock, in a temporary folder.

The old lock's versions are constraints while uv locks, and gone after it: the lock itself keeps them from then on.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nixgen.errors import MachineError, Problem, UserError
from nixgen.formats import toml
from nixgen.formats.foreign import lookup, strings, tables
from nixgen.init.convert.model import Converted, Draft
from nixgen.machine import addresses
from nixgen.project.names import normalized
from nixgen.resolve import uv

_OURS = ("uv.toml", ".python-version")
_OTHERS = shutil.ignore_patterns(".git", ".hg", ".venv", "venv", "node_modules", "__pycache__", ".tox", ".nox")
_PYTHON = re.compile(r"Python ?(?:>=|requirement|version)|requires-python|`python_full_version", re.IGNORECASE)


def convert(root: Path, draft: Draft, source: str) -> Converted:
    """What ``draft`` is once uv has locked it. ``source`` is the file that it was made of.

    Raises UserError with uv's explanation where it cannot, and MachineError; nothing of the project is touched.
    """
    with tempfile.TemporaryDirectory(prefix="nixgen-") as made:
        folder = _copied(root, Path(made).resolve() / "project", draft.copies)
        for name, text in {**draft.files, "pyproject.toml": draft.pyproject}.items():
            _put(folder, name, text)
        for words in draft.reading:
            uv.add(folder, *words)
        text = _inside((folder / "pyproject.toml").read_text(encoding="utf-8"), folder)
        if secrets := sorted(set(addresses.found(text))):
            mend = "take it out of the address, and put it into ~/.netrc"
            raise UserError(Problem(source, f"carries a login in {one}", mend) for one in secrets)
        text = _locked(folder, text, draft, source)
        lock = (folder / "uv.lock").read_bytes()
    notes = [*draft.notes, *_lost(draft, lock.decode(), source)]
    return Converted(text.encode(), lock, tuple(dict.fromkeys(map(addresses.blotted, notes))), draft.python)


def _copied(root: Path, new: Path, names: Sequence[str]) -> Path:
    """Copies these files and folders of a project to ``new``; the copy of the project's folder.

    Some may lie beside the project: they keep their places to each other, all of them inside ``new``.
    """
    places = [Path(os.path.normpath(root / name)) for name in (*_OURS, *names)]
    top = Path(os.path.commonpath([root, *places]))
    folder = new / root.relative_to(top)
    folder.mkdir(parents=True)
    for place in places:
        target = new / place.relative_to(top)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            if place.is_dir():
                shutil.copytree(place, target, symlinks=True, ignore=_not_copied, dirs_exist_ok=True)
            elif place.is_file():
                shutil.copyfile(place, target)
        except shutil.Error as error:
            file, _, why = error.args[0][0]
            raise MachineError.of(str(file), f"cannot be copied: {why}", "make it readable, or remove it") from None
    return folder


def _put(folder: Path, name: str, text: str) -> None:
    """Writes a file of the copy; links that were copied, and may lead anywhere, are not followed."""
    place = folder / name
    for part in (*[folder / above for above in reversed(Path(name).parents)][1:], place):
        if part.is_symlink():
            part.unlink()
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")


def _not_copied(folder: str, names: list[str]) -> set[str]:
    """What no package is made of: what tools keep, and what is neither file, link nor folder."""
    places = {name: Path(folder, name) for name in names}
    odd = {name for name, place in places.items() if not (place.is_symlink() or place.is_file() or place.is_dir())}
    return odd | _OTHERS(folder, names)


def _inside(text: str, folder: Path) -> str:
    """Paths that uv wrote from the root of the machine, relative to the project."""
    return text.replace(f'"{folder.as_posix()}/', '"')


def _locked(folder: Path, text: str, draft: Draft, source: str) -> str:
    """Runs ``uv lock`` with the first Python that it finds a solution for; the pyproject.toml that it locked."""
    problems: list[Problem] = []
    for requires in draft.pythons:
        final = _with(text, requires)
        (folder / "pyproject.toml").write_text(_with(final, None, draft.pins), encoding="utf-8")
        try:
            uv.lock(folder, draft.logins)
        except UserError as error:
            problems = problems or list(error.problems)
            if requires != draft.pythons[-1] and any(_PYTHON.search(one.what) for one in error.problems):
                continue
            raise UserError(
                Problem(source, f"uv cannot lock it: {one.what.strip()}", one.mend) for one in problems
            ) from None
        if draft.pins:
            (folder / "pyproject.toml").write_text(final, encoding="utf-8")
            uv.lock(folder, draft.logins)
        return final
    raise AssertionError("there is at least one Python")  # pragma: no cover


def _with(text: str, requires: str | None, pins: Sequence[str] = ()) -> str:
    """pyproject.toml with ``requires-python`` and more constraints."""
    import tomlkit

    document: Any = tomlkit.parse(text)
    if requires is not None:
        document["project"]["requires-python"] = requires
    if pins:
        own = document.setdefault("tool", tomlkit.table()).setdefault("uv", tomlkit.table())
        own["constraint-dependencies"] = [*strings(own.get("constraint-dependencies")), *pins]
    return tomlkit.dumps(document)


def _lost(draft: Draft, lock: str, source: str) -> list[str]:
    """Versions of the old lock that the new one has in another version. Raises UserError for files that changed."""
    packages: dict[str, dict[str, Mapping[str, Any]]] = {}
    for block in tables(toml.loads(lock).get("package")):
        packages.setdefault(block["name"], {})[str(block.get("version"))] = block
    changed = [
        Problem(source, f"{name} {version}: its index has no file with one of the hashes that are pinned", _HASHES)
        for (name, version), allowed in draft.hashes.items()
        if (has := _sha256(packages.get(name, {}).get(version, {}))) and not has & allowed
    ]
    if changed:
        raise UserError(changed)
    lost = []
    for pin in draft.pins:
        name, _, version = pin.partition(";")[0].partition("==")
        name, version = normalized(name.partition("[")[0].strip()), version.strip()
        if name in packages and not any(_same(one, version) for one in packages[name]):
            lost.append(f"{name} {version}: uv.lock has {', '.join(sorted(packages[name]))}")
    return lost


_HASHES = "the files changed after they were pinned: find out why; to take what is there now, remove the hashes"


def _same(one: str, other: str) -> bool:
    from packaging.version import InvalidVersion, Version

    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other


def _sha256(block: Mapping[str, Any]) -> set[str]:
    files = [*tables(block.get("wheels")), *([block["sdist"]] if isinstance(block.get("sdist"), dict) else [])]
    return {str(lookup(file, "hash")).removeprefix("sha256:") for file in files if "hash" in file}
