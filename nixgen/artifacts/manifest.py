"""models.toml: closed parsing into one frozen value. The format's version is 1; docs/models.md explains each key."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from nixgen.artifacts import fields, sourcetext
from nixgen.artifacts.fields import FILE, Asked, Entry, kind_of, nearest, quoted
from nixgen.artifacts.model import ArtifactSpec, Kind, Layout, Manifest, Scheme, ServiceSpec, scheme_of
from nixgen.errors import Problem, UserError
from nixgen.formats.foreign import table as tables

VERSION = 1
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_KEYS = ("source", "revision", "sha256", "include", "exclude", "layout", "member", "repo")
_KEYS_OF: Mapping[str, tuple[str, ...]] = {
    "models": (*_KEYS, "endpoint", "registry"),
    "data": (*_KEYS, "endpoint", "registry", "format"),
    "services": ("command", "environment", "health", "models"),
}
_ONE_OF = {"models": "a model", "data": "a dataset", "services": "a service"}
_EXAMPLES = {"models": "minilm", "data": "transactions", "services": "api"}


def read_manifest(root: Path) -> Manifest:
    """models.toml of the project in ``root``; without the file, nothing. Raises UserError with every problem."""
    path = root / FILE
    if not os.path.lexists(path):
        return Manifest()
    from nixgen.project.project import read_toml

    return parse_manifest(read_toml(path, FILE))


def parse_manifest(document: Mapping[str, Any]) -> Manifest:
    """The manifest of a decoded models.toml. Raises UserError with every problem."""
    version = document.get("version")
    if type(version) is int and version != VERSION:
        mend = f"use a nixgen that knows it, or write it in the form of version {VERSION}: docs/models.md"
        raise UserError.of(f"{FILE}: version", f"is {version}, and this nixgen knows {VERSION}", mend)
    problems: list[Problem] = []
    if type(version) is not int:
        what = "is missing" if version is None else f"is {kind_of(version)}, not a number"
        problems.append(Problem(f"{FILE}: version", what, f"write version = {VERSION} as the first line"))
    known = ("version", *_KEYS_OF)
    problems += [
        Problem(f"{FILE}: {quoted(key)}", "is not a key of models.toml", nearest(key, known))
        for key in document
        if key not in known
    ]
    artifacts: dict[str, list[ArtifactSpec]] = {"models": [], "data": []}
    services: list[ServiceSpec] = []
    for part in _KEYS_OF:
        for entry in _entries(document.get(part), part, problems):
            if part == "services":
                services.append(_service(entry))
            else:
                artifacts[part].append(_artifact(entry, cast("Kind", part)))
    problems += _unknown_models(services, [*tables(document, "models"), *tables(document, "data")])
    problems += _same_place(spec for spec in [*artifacts["models"], *artifacts["data"]] if fields.readable(spec))
    if problems:
        raise UserError(dict.fromkeys(problems))
    return Manifest(
        models=tuple(sorted(artifacts["models"], key=lambda spec: spec.name)),
        data=tuple(sorted(artifacts["data"], key=lambda spec: spec.name)),
        services=tuple(sorted(services, key=lambda service: service.name)),
    )


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 7) of models.toml, from what the readers of its tables ask for."""
    parts = {}
    for part, keys in _KEYS_OF.items():
        asked = Asked(part)
        if part == "services":
            _service(asked)
        else:
            _artifact(asked, cast("Kind", part))
        one = {
            "type": "object",
            "additionalProperties": False,
            "properties": {key: asked.forms[key] for key in keys},
            "required": asked.required,
        }
        parts[part] = {"type": "object", "propertyNames": {"pattern": f"^{NAME.pattern}$"}, "additionalProperties": one}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": FILE,
        "type": "object",
        "additionalProperties": False,
        "properties": {"version": {"enum": [VERSION]}, **parts},
        "required": ["version"],
    }


def _entries(named: object, part: str, problems: list[Problem]) -> list[Entry]:
    """The tables of one part, after noting names and keys that cannot be."""
    example = f"[{part}.{_EXAMPLES[part]}]"
    if not isinstance(named, dict):
        if named is not None:
            problems.append(Problem(f"{FILE}: {part}", f"is {kind_of(named)}, not a table", f"write it as {example}"))
        return []
    entries: list[Entry] = []
    folded: dict[str, str] = {}
    for name, values in named.items():
        where = f"{FILE}: {part}.{quoted(name)}"
        if not NAME.fullmatch(name):
            mend = "begin with a letter or digit, and use only those, dots, dashes and underscores"
            problems.append(Problem(where, "is not a name", mend))
        other = folded.setdefault(name.lower(), name)
        if other != name:
            what = f"differs from {part}.{quoted(other)} only in case: on some machines both would be one folder"
            problems.append(Problem(where, what, "give one of them another name"))
        if isinstance(values, dict):
            entries.append(Entry(part, name, values, problems))
            problems += _unknown_keys(part, name, values)
        else:
            problems.append(Problem(where, f"is {kind_of(values)}, not a table", f"write it as {example}"))
    return entries


def _unknown_keys(part: str, name: str, values: Mapping[str, Any]) -> Iterator[Problem]:
    for key, value in values.items():
        if key in _KEYS_OF[part]:
            continue
        parts = [other for other, keys in _KEYS_OF.items() if key in keys]
        if isinstance(value, dict):
            mend = f'for a name with a dot in it, write [{part}."{name}.{key}"]'
        elif parts:
            mend = f"it is a key of {' and '.join(_ONE_OF[other] for other in parts)}"
        else:
            mend = nearest(key, _KEYS_OF[part])
        where = f"{FILE}: {part}.{quoted(name)}.{quoted(key)}"
        yield Problem(where, f"is not a key of {_ONE_OF[part]}", mend)


def _artifact(entry: Entry, kind: Kind) -> ArtifactSpec:
    source = entry.text("source", "hf:sentence-transformers/all-MiniLM-L6-v2")
    sha256 = fields.sha256(entry)
    scheme: Scheme | None = None
    if source is not None:
        fault = sourcetext.source_fault(source, pinned=sha256 is not None)
        if fault:
            entry.wrong("source", *fault)
        else:
            scheme = scheme_of(source)
    elif "source" not in entry:
        entry.wrong("source", "is missing", f"say where it comes from: {sourcetext.KINDS} or a path in the project")
    usual: tuple[Layout, ...] = ("hf",) if scheme == "hf" else ("plain",)
    spec = ArtifactSpec(
        kind=kind,
        name=entry.name,
        source=source or "",
        revision=fields.revision(entry),
        sha256=sha256,
        include=fields.globs(entry, "include"),
        exclude=fields.globs(entry, "exclude"),
        layout=fields.layout(entry) or usual,
        member=fields.member(entry),
        repo=fields.repo(entry),
        format=fields.format_of(entry) if kind == "data" else None,
        endpoint=fields.endpoint(entry),
        registry=fields.registry(entry),
        where=entry.where,
    )
    if scheme is not None:
        for key, what, mend in fields.misfits(spec, scheme):
            entry.wrong(key, what, mend)
    return spec


def _service(entry: Entry) -> ServiceSpec:
    command, health = _command(entry, "command"), _command(entry, "health", optional=True)
    models = tuple(dict.fromkeys(entry.texts("models", "minilm")))
    return ServiceSpec(entry.name, command, models, entry.text("environment", "gpu") or "", health)


def _command(entry: Entry, key: str, *, optional: bool = False) -> tuple[str, ...]:
    value = entry.get(key)
    command = entry.texts(key, "python", alone=True)
    if isinstance(value, str):
        try:
            command = tuple(shlex.split(value))
        except ValueError:
            entry.wrong(key, "has a quote that does not end", 'end it, or write a list: ["python", "-m", "app"]')
    if not any(command) and ((value is None and not optional) or isinstance(value, str) or value == []):
        what = "is missing" if value is None else "is empty"
        entry.wrong(key, what, f'write {key} = "python -m app"')
    return command


def _unknown_models(services: Sequence[ServiceSpec], names: Collection[str]) -> Iterator[Problem]:
    """Services that name what is in neither of the two tables."""
    for service in services:
        for index, name in enumerate(service.models):
            if name not in names:
                where = f"{FILE}: services.{quoted(service.name)}.models[{index}]"
                mend = nearest(name, names) if names else "add it: nixgen model add NAME SOURCE"
                yield Problem(where, f'"{name}" is no model and no data of this file', mend)


def _same_place(specs: Iterable[ArtifactSpec]) -> Iterator[Problem]:
    """Two artifacts that would be one folder of the hub's cache, where only one of them could be found."""
    folders: dict[tuple[str, str], ArtifactSpec] = {}
    for spec in specs:
        name = (spec.source.removeprefix("hf:").removeprefix("models/") if spec.scheme == "hf" else spec.repo) or ""
        if "hf" in spec.layout and name:
            revision = spec.revision or "main"
            other = folders.setdefault((name.lower(), revision), spec)
            if other is not spec:
                what = f"is the same repo and revision as {other.key}: both would be one folder of the cache"
                mend = 'make one entry of the two, or give one of them layout = "plain"'
                yield Problem(f"{spec.where}.source", what, mend)
