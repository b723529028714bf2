"""``nixgen registry verify``: is a registry what its log says? Every byte of every version, every alias, and the log.

What lies there and is in no entry is told apart: of a publish that did not end (a note), or put there (a finding).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nixgen import console
from nixgen.errors import Finding, Problem
from nixgen.registry import checksums
from nixgen.registry.address import LOG
from nixgen.registry.checksums import ChecksumError
from nixgen.registry.entry import Entry
from nixgen.registry.files import Files
from nixgen.registry.registry import CHECKSUMS, PUBLISHING, Registry
from nixgen.registry.state import Model

_RESTORE = "restore the published bytes from a copy, or publish them under a new version"
_RELINK = "somebody with write access moved it past the log: ask them, then: nixgen registry verify --repair"
_EXTRA = "the log does not have it: remove it, and ask who has write access"


@dataclass(frozen=True, slots=True)
class Report:
    """What was found: ``findings`` are not as the log says, ``notes`` are left over; how many of each were read."""

    findings: tuple[Problem, ...]
    notes: tuple[Problem, ...]
    models: int
    versions: int
    aliases: int
    entries: int


def verify(registry: Registry, names: frozenset[str] = frozenset()) -> Report:
    """Reads all of it, or only the models of these names (PROJECT/NAME). Raises LogFinding, MachineError."""
    state = registry.state()
    findings = [Problem(f"log: {entry.name}", f"the entry {why}", _EXTRA) for entry, why in state.wrong]
    notes = [
        Problem(f"log: {entry.name}", f"{entry.kind} by {entry.by} at {entry.at} lost against another at the same time")
        for entry in state.lost
    ]
    chosen = {name: model for name, model in state.models.items() if not names or name in names}
    for name, model in sorted(chosen.items()):
        with console.step(f"verifying {name}"):
            for version in model.ordered():
                findings += damages(registry.files, model.versions[version])
            for alias, found in _astray(registry, model):
                is_now = "is missing" if found is None else f"leads to {found or 'no version'}"
                what = f"{is_now}, and the log says {model.alias(alias)}"
                findings.append(Problem(f"{name}/{alias}", what, _RELINK))
            more, left = _strange(registry.files, name, {*model.versions}, {*model.moves})
            findings += more
            notes += left
    if not names:
        findings += _unknown(registry, {*state.models})
    versions = sum(len(model.versions) for model in chosen.values())
    aliases = sum(len(model.moves) for model in chosen.values())
    return Report(tuple(findings), tuple(notes), len(chosen), versions, aliases, registry.log.size)


def repair(registry: Registry) -> list[str]:
    """Makes every alias on the disk what the log says; those that it changed."""
    changed = []
    with registry.files.exclusive():
        for name, model in sorted(registry.renew().models.items()):
            for alias, _ in _astray(registry, model):
                registry.relink(name, alias)
                changed.append(f"{name}@{alias}")
    return changed


def _astray(registry: Registry, model: Model) -> Iterator[tuple[str, str | None]]:
    """The aliases on the disk that are not what the log says, and where each leads."""
    for alias, version in model.aliases().items():
        if (found := registry.files.pointed(f"{model.name}/{alias}")) != version:
            yield alias, found


def sound(registry: Registry, entry: Entry) -> tuple[Problem, ...]:
    """The :func:`damages` of a version; one that this command has read is not read again."""
    if entry.name not in registry.read:
        registry.read[entry.name] = tuple(damages(registry.files, entry))
    return registry.read[entry.name]


def damages(files: Files, entry: Entry) -> list[Problem]:
    """What of a published version is not as its entry says: each file that is missing, changed, or too many."""
    folder = f"{entry.model}/{entry.version}"
    try:
        hashes = published(files, entry)
    except Finding as error:
        return list(error.problems)
    wrong = [Problem(f"{folder}/{path}", why, _RESTORE) for path, why in differing(files, folder, hashes)]
    extra = sorted(set(below(files, folder)) - {*hashes, CHECKSUMS, PUBLISHING})
    return wrong + [Problem(f"{folder}/{path}", "was not published", _EXTRA) for path in extra]


def published(files: Files, entry: Entry) -> dict[str, str]:
    """The SHA-256 of each file of a version, as its entry stands for them. Raises Finding."""
    where = f"{entry.model}/{entry.version}/{CHECKSUMS}"
    data = files.read(where, checksums.LONGEST)
    if data is None:
        raise Finding.of(where, "is not there", _RESTORE)
    if checksums.digest(data) != entry.digest:
        what = f"is not the one that was published: SHA-256 {checksums.digest(data)}, the log has {entry.digest}"
        raise Finding.of(where, what, _RESTORE)
    try:
        return checksums.parse(data)
    except ChecksumError as error:
        raise Finding.of(where, f"was published, and {error}", _RESTORE) from None


def document(files: Files, entry: Entry, name: str) -> Mapping[str, Any]:
    """A JSON document of a version, as it was published; empty where there is none, or where another one lies there."""
    with contextlib.suppress(Finding, ValueError, RecursionError):
        wanted = published(files, entry).get(name)
        data = files.read(f"{entry.model}/{entry.version}/{name}", checksums.LONGEST)
        if data is not None and checksums.digest(data) == wanted:
            found = json.loads(data)
            return found if isinstance(found, dict) else {}
    return {}


def differing(files: Files, folder: str, hashes: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The files of a folder that are not what they should be, and how so."""
    for path, wanted in sorted(hashes.items()):
        with files.stream(f"{folder}/{path}") as found:
            if found is None:
                yield path, "is missing"
                continue
            state = hashlib.sha256()
            for piece in found:
                state.update(piece)
        if state.hexdigest() != wanted:
            yield path, f"has SHA-256 {state.hexdigest()}, published was {wanted}"


def below(files: Files, folder: str) -> Iterator[str]:
    """Every file below a folder, by its path there."""
    for name, is_folder in files.names(folder).items():
        if is_folder:
            yield from (f"{name}/{path}" for path in below(files, f"{folder}/{name}"))
        else:
            yield name


def _strange(files: Files, model: str, versions: set[str], aliases: set[str]) -> tuple[list[Problem], list[Problem]]:
    """What lies in a model's folder and is no version or alias of the log: findings, and what is left over."""
    findings, notes = [], []
    for name, is_folder in sorted(files.names(model).items()):
        if name in versions | aliases or (name.startswith(".") and name.endswith(".new")):
            continue
        if is_folder and files.read(f"{model}/{name}/{PUBLISHING}") is not None:
            notes.append(Problem(f"{model}/{name}", "belongs to an interrupted publish, and is ignored"))
        else:
            findings.append(Problem(f"{model}/{name}", "was not published", _EXTRA))
    return findings, notes


def _unknown(registry: Registry, models: set[str]) -> Iterator[Problem]:
    """Folders that are no project, and models that were never published."""
    for project, is_folder in sorted(registry.files.names("").items()):
        if not is_folder or project == LOG:
            continue
        for name in sorted(registry.files.names(project)):
            if f"{project}/{name}" not in models and not _unfinished(registry.files, f"{project}/{name}"):
                yield Problem(f"{project}/{name}", "was not published", _EXTRA)


def _unfinished(files: Files, folder: str) -> bool:
    """Whether all that lies in a model's folder is of a publish that did not end."""
    return all(files.read(f"{folder}/{name}/{PUBLISHING}") is not None for name in files.names(folder))
