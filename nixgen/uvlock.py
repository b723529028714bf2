"""What nixgen reads of uv.lock by itself: its version, its local packages. What to install, ``uv export`` tells.

uv writes one ``[[package]]`` table after the other; only those of local sources are parsed, so that a lock of
megabytes costs milliseconds.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nixgen.errors import UserError

VERSION = 1
"""The version of uv.lock's format that this nixgen (and its uv) understands."""

_PACKAGE = re.compile(r"^\[\[package\]\]", re.MULTILINE)
_LOCAL = re.compile(r"^source = \{ (?:editable|directory|virtual) = ", re.MULTILINE)
_CREDENTIALS = re.compile(
    r"""\b(?:[a-z0-9+.-]*\+)?(?P<scheme>https?|ssh)://(?P<user>[^\s/"'?#]+)@(?P<rest>[^\s"',\]}]*)""", re.IGNORECASE
)


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
            f"{version!r} is not a version that this nixgen knows; it knows {VERSION}",
            "use a nixgen and a uv that know it (pip install --upgrade nixgen uv), or write uv.lock again: uv lock",
        )
    ends = [*starts[1:], len(text)]
    blocks = (text[start:end] for start, end in zip(starts, ends, strict=True))
    local = "".join(block for block in blocks if _LOCAL.search(block))
    return UvLock(head, tuple(_toml(local).get("package", ())))


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError.of("uv.lock", f"is not TOML that can be read: {error}", "write it again: uv lock") from None


def credentials(text: str) -> Iterator[str]:
    """Every URL in a text that carries a user name for http(s), or a password, with the secret blotted out."""
    if "@" not in text:
        return
    for found in _CREDENTIALS.finditer(text):
        if found["scheme"].lower() != "ssh" or ":" in found["user"]:
            yield f"{found['scheme']}://***@{found['rest']}"


def stale(project_tables: Mapping[str, Mapping[str, Any]], lock: UvLock) -> str | None:
    """How the requirements of pyproject.toml files differ from those that uv.lock records, None if they do not.

    ``project_tables`` maps a folder, as uv.lock names it, to its pyproject.toml. This is the part of uv's own check
    that needs no interpreter and no network: the requirements of each local package (PEP 508) in all groups and
    extras. Dynamic metadata is left to uv.
    """
    for package in lock.local:
        folder = next(iter(package.get("source", {}).values()))
        table = project_tables.get(folder)
        recorded = package.get("metadata", {})
        if table is None or "project" not in table:
            continue
        project = table["project"]
        dynamic = set(project.get("dynamic", ()))
        wanted = {}
        if not {"dependencies", "optional-dependencies"} & dynamic:
            wanted["requires-dist"] = _declared(project)
        groups = table.get("dependency-groups", {})
        legacy = {"dev": list(table.get("tool", {}).get("uv", {}).get("dev-dependencies", ()))}
        for key, (declared, kept) in {
            **{k: (v, _recorded(recorded.get("requires-dist", ()))) for k, v in wanted.items()},
            "requires-dev": (
                {name for group in groups for name in _group(groups, group, legacy)} | _names(legacy["dev"]),
                {name for group in recorded.get("requires-dev", {}).values() for name in _recorded(group)},
            ),
        }.items():
            difference = sorted(declared ^ kept)
            if difference:
                name = difference[0]
                side = "lacks" if name in declared else "still has"
                what = {"requires-dist": "dependency", "requires-dev": "dependency of a group"}[key]
                return f"it {side} the {what} {name} of {project.get('name', folder)}"
    return None


def _declared(project: Mapping[str, Any]) -> set[str]:
    texts = list(project.get("dependencies", ()))
    for extra in project.get("optional-dependencies", {}).values():
        texts += extra
    return _names(texts)


def _group(groups: Mapping[str, Any], name: str, legacy: Mapping[str, list[str]], depth: int = 0) -> set[str]:
    entries = groups.get(name, ())
    found = _names([entry for entry in entries if isinstance(entry, str)])
    for entry in entries:
        if isinstance(entry, dict) and depth < len(groups):
            found |= _group(groups, str(entry.get("include-group")), legacy, depth + 1)
    return found


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
    return {_normal(entry["name"]) + _sorted(entry.get("specifier", "")) for entry in entries}


def _sorted(specifier: str) -> str:
    return ",".join(sorted(part.replace(" ", "") for part in specifier.split(",") if part.strip()))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
