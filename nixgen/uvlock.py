"""What nixgen reads of uv.lock by itself: its version, its local packages. What to install, ``uv export`` tells.

uv writes one ``[[package]]`` table after the other; only those of local sources are parsed, so that a lock of
megabytes costs milliseconds.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nixgen.errors import UserError
from nixgen.tables import lookup, strings, table, tables

VERSION = 1
"""The version of uv.lock's format that this nixgen (and its uv) understands."""

_PACKAGE = re.compile(r"^\[\[package\]\]", re.MULTILINE)
_LOCAL = re.compile(r"^source = \{ (?:editable|directory|virtual) = ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class UvLock:
    """uv.lock: the keys before the first package, and the packages whose source is a folder."""

    head: Mapping[str, Any]
    local: tuple[Mapping[str, Any], ...]


def read(text: str) -> UvLock:
    """Parses the head and the local packages.

    Raises UserError for TOML that cannot be read, and for a version other than 1.
    """
    starts = [match.start() for match in _PACKAGE.finditer(text)]
    head = _toml(text[: starts[0]] if starts else text)
    version = head.get("version")
    if version != VERSION:
        raise UserError.of(
            "uv.lock: version",
            f"{'nothing' if version is None else repr(version)} is not a version that this nixgen knows; "
            f"it knows {VERSION}",
            "use a nixgen and a uv that know it (pip install --upgrade nixgen uv), or write uv.lock again: uv lock",
        )
    ends = [*starts[1:], len(text)]
    blocks = (text[start:end] for start, end in zip(starts, ends, strict=True))
    local = "".join(block for block in blocks if _LOCAL.search(block))
    return UvLock(head, tuple(tables(_toml(local).get("package"))))


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError.of("uv.lock", f"is not TOML that can be read: {error}", "write it again: uv lock") from None


def folder(package: Mapping[str, Any]) -> str:
    """Where a local package is, as uv.lock writes it: relative to the project, "." for the project itself."""
    return next((path for path in table(package, "source").values() if isinstance(path, str)), "")


def stale(pyprojects: Mapping[str, Mapping[str, Any]], lock: UvLock) -> str | None:
    """How pyproject.toml files differ from what uv.lock records of them, None if they do not.

    ``pyprojects`` maps a folder, as uv.lock names it, to its pyproject.toml. This is the part of uv's own check that
    needs no interpreter and no network: requires-python, and the requirements (PEP 508) of each local package with its
    groups and extras. What is dynamic is left to uv.
    """
    for package in lock.local:
        pyproject = pyprojects.get(folder(package), {})
        project = table(pyproject, "project")
        if not project:
            continue
        name = project.get("name", folder(package))
        if not {"dependencies", "optional-dependencies"} & set(strings(project.get("dynamic"))):
            recorded = _recorded(lookup(package, "metadata", "requires-dist"))
            if why := _difference(_declared(project), recorded, f"dependency of {name}"):
                return why
        groups = table(package, "metadata", "requires-dev").values()
        recorded = {requirement for group in groups for requirement in _recorded(group)}
        if why := _difference(_grouped(pyproject), recorded, f"dependency of a group of {name}"):
            return why
    members = [pyprojects[path] for path in map(folder, lock.local) if path in pyprojects]
    wanted = [text for member in members for text in strings(lookup(member, "project", "requires-python"))]
    locked = lock.head.get("requires-python", "")
    if wanted and len(wanted) == len(members) and not _same_pythons(",".join(wanted), str(locked)):
        return f"it was made for requires-python {locked}, which is now {', '.join(dict.fromkeys(wanted))}"
    return None


def _difference(declared: set[str], recorded: set[str], what: str) -> str | None:
    for requirement in sorted(declared ^ recorded):
        kind, _, owner = what.rpartition(" of ")
        return f"it {'lacks' if requirement in declared else 'still has'} the {kind} {requirement} of {owner}"
    return None


def _same_pythons(one: str, other: str) -> bool:
    """Whether two specifiers admit the same Pythons: asked for each version that either names, and those around it."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        left, right = SpecifierSet(one), SpecifierSet(other)
    except InvalidSpecifier:
        return True  # uv, whose business it is, says what is wrong with it
    probes = {f"3.{minor}.{patch}" for minor in range(5, 25) for patch in (0, 50)}
    for major, minor, patch in re.findall(r"(\d+)\.(\d+)(?:\.(\d+))?", f"{one} {other}"):
        number = int(patch or 0)
        probes |= {f"{major}.{minor}.{near}" for near in (max(number - 1, 0), number, number + 1)}
    return all(left.contains(probe) == right.contains(probe) for probe in probes)


def _declared(project: Mapping[str, Any]) -> set[str]:
    texts = strings(project.get("dependencies"))
    for extra in table(project, "optional-dependencies").values():
        texts += strings(extra)
    return _names(texts)


def _grouped(pyproject: Mapping[str, Any]) -> set[str]:
    """The requirements of all dependency groups (PEP 735); an included group is among them anyway."""
    texts = strings(lookup(pyproject, "tool", "uv", "dev-dependencies"))
    for group in table(pyproject, "dependency-groups").values():
        texts += strings(group)
    return _names(texts)


def _names(requirements: list[str]) -> set[str]:
    """A requirement as its normalized name with sorted specifiers: what is stable between the two files."""
    from packaging.requirements import InvalidRequirement, Requirement

    found = set()
    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue  # uv, whose business it is, says what is wrong with it
        specifier = "" if requirement.url else str(requirement.specifier)
        found.add(_normal(requirement.name) + _sorted(specifier))
    return found


def _recorded(entries: Any) -> set[str]:  # noqa: ANN401 -- straight from TOML
    return {_normal(str(entry.get("name"))) + _sorted(str(entry.get("specifier", ""))) for entry in tables(entries)}


def _sorted(specifier: str) -> str:
    return ",".join(sorted(part.replace(" ", "") for part in specifier.split(",") if part.strip()))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
