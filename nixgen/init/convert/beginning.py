"""``nixgen init --from``: which reader a file is for, and the project that is made of it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nixgen.errors import UserError
from nixgen.formats import toml
from nixgen.init.convert import conda, locking, poetry, requirements
from nixgen.init.convert.model import Converted, Draft
from nixgen.project.names import from_folder, from_title, normalized
from nixgen.project.project import read_text

PYPROJECT = "pyproject.toml"
POETRY = "poetry"
_PLAIN = {"", "requirements", "requirement", "reqs", "req", "txt", "in", "lock"}
_DEFAULT = "dev"  # uv's default group
_YAML = (".yml", ".yaml")
_OLDEST, _NEWEST = 11, 14
PYTHONS = tuple(f">=3.{minor}" for minor in range(_OLDEST, _NEWEST + 1))
"""What ``requires-python`` may be where the old files do not say: the lowest that uv finds a solution for is taken."""


def converted(root: Path, source: str, python: str | None, more: Sequence[str] = ()) -> Converted:
    """The project ``root`` as a uv project. ``source`` is "poetry" or a file; ``python`` the Python that was asked for.

    ``more`` are requirements files besides; each is a group of dependencies. Raises UserError for a project that uv has
    already, a file that is missing or cannot be read, and for what uv cannot lock. Writes nothing into the project.
    """
    for name in (PYPROJECT, "uv.lock"):
        if os.path.lexists(root / name) and not (root / name).is_file():
            raise UserError.of(name, "is not a regular file", "move it elsewhere")
    text = read_text(root / PYPROJECT, PYPROJECT) if (root / PYPROJECT).exists() else ""
    table = _parsed(text)
    if (root / "uv.lock").exists():
        raise UserError.of("uv.lock", "is there: this is a uv project already", "nixgen init")
    if more and (other := next((one for one in (source, *more) if one == POETRY or one.endswith(_YAML)), None)):
        what = f"{other} is the whole of a project; only requirements files can be several"
        raise UserError.of("--from", what, f"nixgen init --from {other}, then for each of the others: uv add -r FILE")
    if source == POETRY:
        return locking.convert(root, poetry.draft(root, text, table, python), poetry.LOCK)
    if "project" in table:
        adds = [f"uv add -r {source}", *(f"uv add --group {group(one)} -r {one}" for one in more)]
        mend = f"{', '.join(adds)}, then: nixgen init" if not source.endswith(_YAML) else "nixgen init"
        raise UserError.of(PYPROJECT, "has a [project] table: this is a uv project already", mend)
    name = _inside(root, source)
    if name.endswith(_YAML):
        return locking.convert(root, _finished(root, text, table, conda.draft(root, name), (), python), name)
    others = tuple(dict.fromkeys(_inside(root, one) for one in more))
    return locking.convert(root, _of_requirements(root, name, others, text, table, python), name)


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        return toml.loads(text)
    except toml.TomlError as error:
        raise UserError.of(PYPROJECT, f"is not TOML that can be read: {error}", "mend that line") from None


def _inside(root: Path, source: str) -> str:
    """A file's path, relative to the project."""
    place = next((one for one in (Path(source), root / source) if one.is_file()), None)
    if place is None:
        mend = "name a requirements file, an environment.yml, or: poetry"
        raise UserError.of("--from", f"there is no file {source}", mend)
    if not place.resolve().is_relative_to(root.resolve()):
        raise UserError.of("--from", f"{source} lies outside of {root}", f"cp {source} {root}")
    return place.resolve().relative_to(root.resolve()).as_posix()


def group(name: str) -> str:
    """The group of dependencies that a requirements file is, by its name: dev, of ``requirements-dev.txt``."""
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower().rpartition("/")[2]) if word not in _PLAIN]
    return "-".join(words) or "more"


def _of_requirements(
    root: Path, name: str, others: Sequence[str], text: str, table: Mapping[str, Any], python: str | None
) -> Draft:
    """The draft of a file, and of others whose packages are groups."""
    found = requirements.Read()
    asked, pins = _asked(root, name, found)
    reading: list[tuple[str, ...]] = [("-r", asked)]
    known = {requirement.partition("==")[0] for requirement in pins}
    for other in others:
        found.main = frozenset({asked, name, *(found.main or found.texts)})
        made_of, more = _asked(root, other, found)
        pins += tuple(one for one in more if one.partition("==")[0] not in known)
        known |= {requirement.partition("==")[0] for requirement in more}
        reading.append(("-r", made_of, "--group", group(other)))
        if group(other) != _DEFAULT:
            told = "it is installed where groups under [tool.nixgen] names it, and by uv sync --group"
            found.notes.append(f"{other} is the group {group(other)}: {told} {group(other)}")
    draft = _finished(root, text, table, found, pins, python)
    return replace(draft, reading=tuple(words for words in reading if found.texts[words[1]]))


def _asked(root: Path, name: str, found: requirements.Read) -> tuple[str, tuple[str, ...]]:
    """Reads a file; the one that says what is asked for, and the versions that are pinned.

    What pip-compile or uv wrote is a lock: what the project asks for stands in the file that it was made of.
    """
    own = read_text(root / name, name)
    asked, notes = name, list[str]()
    pins: tuple[str, ...] = ()
    if requirements.compiled(own):
        made_of = re.sub(r"\.(txt|lock)$", "", name) + ".in"
        if made_of != name and (root / made_of).is_file():
            asked, pins = made_of, requirements.pins(own)
            notes = [f"{name} was made of {made_of}: its versions are in uv.lock, and {made_of} is what is asked for"]
    elif name.endswith(".in") and (root / f"{name[:-3]}.txt").is_file():
        pins = requirements.pins(read_text(root / f"{name[:-3]}.txt", f"{name[:-3]}.txt"))
    requirements.read(root, asked, found=found)
    if asked != name:
        compiled = requirements.read(root, name)
        found.hashes |= compiled.hashes
        found.python = found.python or compiled.python
        for key in ("index", "find-links"):
            if key not in requirements.settings(found) and key in requirements.settings(compiled):
                found.indexes = found.indexes or compiled.indexes
                found.settings = {**compiled.settings, **found.settings}
    found.notes[:0] = notes
    return asked, pins


def _finished(
    root: Path,
    text: str,
    table: Mapping[str, Any],
    found: requirements.Read,
    pins: tuple[str, ...],
    python: str | None,
) -> Draft:
    import tomlkit

    lines = (line for one in found.texts.values() for line in one.splitlines())
    taken = {normalized(match[0]) for line in lines if (match := re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line))}
    title = from_title(found.title)
    name = title if title and title not in taken else from_folder(root)
    head = {"name": name, "version": "0.1.0", "requires-python": PYTHONS[0], "dependencies": []}
    project = tomlkit.dumps({"project": head})
    plain = all(isinstance(value, dict) for value in table.values())  # else [project] would take a key of the file
    document: Any = tomlkit.parse(f"{project}\n{text}" if plain and text else f"{text}\n{project}" if text else project)
    values = requirements.settings(found)
    if values:
        own = document.setdefault("tool", tomlkit.table()).setdefault("uv", tomlkit.table())
        for key, value in values.items():
            own[key] = _indexes(value) if key == "index" else value
    python = python or found.python or _version_file(root)
    minor = ".".join((python or "").split(".")[:2])
    return Draft(
        pyproject=tomlkit.dumps(document),
        pythons=(f">={minor}",) if minor else PYTHONS,
        files=found.texts,
        reading=tuple(("-r", one) for one in list(found.texts)[:1] if found.texts[one]),
        copies=tuple(found.copies),
        pins=pins,
        hashes=found.hashes,
        logins=found.logins,
        notes=tuple(found.notes),
        python=minor or None,
    )


def _indexes(rows: list[dict[str, Any]]) -> Any:  # noqa: ANN401 -- tomlkit's
    import tomlkit

    made = tomlkit.aot()
    for row in rows:
        table = tomlkit.table()
        table.update(row)
        made.append(table)
    return made


def _version_file(root: Path) -> str | None:
    """The Python of .python-version, or of runtime.txt, which Heroku reads; None where they name none."""
    for name in (".python-version", "runtime.txt"):
        if (root / name).is_file():
            found = re.fullmatch(r"(?:python-|cpython-)?(3\.\d+)(\.\d+)?", read_text(root / name, name).strip())
            if found:
                return found[1]
    return None
