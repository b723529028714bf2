"""Models and data in nixgen.lock: the keys "models" and "data", which are there only when something is pinned."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, TypeVar, cast, get_args

from nixgen.artifacts.model import (
    LAYOUTS,
    SCHEMES,
    Kind,
    Layout,
    PinnedArchive,
    PinnedArtifact,
    PinnedFile,
    Registered,
    RepoType,
    Scheme,
)
from nixgen.artifacts.paths import clashes, path_problem
from nixgen.data.model import DataManifest
from nixgen.formats.strictjson import Table
from nixgen.registry import address

KEYS: tuple[Kind, ...] = ("models", "data")
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
REPO = r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)?"
SHA256 = r"[0-9a-f]{64}"
COMMIT = r"[0-9a-f]{40}"
_WORD = r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?"
_VERSION = r"[0-9][0-9A-Za-z.+-]*"
_LINE = r"[^\x00-\x1f\x7f]+"
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"
_URLS = ("https", "http", "file")
_T = TypeVar("_T")


def parse(top: Table) -> tuple[PinnedArtifact, ...]:
    """The artifacts of a lock's top table, models first, each kind sorted by name. Problems are noted in the table."""
    found: list[PinnedArtifact] = []
    for kind in KEYS:
        if kind in top:
            names = top.table(kind)
            found += [_artifact(names, kind, name) for name in sorted(names.keys())]
    return tuple(found)


def dump(artifacts: Iterable[PinnedArtifact]) -> dict[str, Any]:
    """The keys of the lock's top table, none for nothing. What has its usual value is left out."""
    tables: dict[str, Any] = {}
    for artifact in artifacts:
        tables.setdefault(artifact.kind, {})[artifact.name] = _dump(artifact)
    return tables


def _artifact(names: Table, kind: Kind, name: str) -> PinnedArtifact:
    if not re.fullmatch(NAME, name):
        names.problem(name, "is not a name of letters, digits, dots, dashes and underscores")
    entry = names.table(name)
    entry.closed(
        *("source", "scheme", "revision", "commit", "repo", "repoType", "layout", "include", "exclude", "member"),
        *("format", "endpoint", "licence", "gated", "archive", "files", "manifest", "registered", "extraRepos"),
    )
    archive = _optional(entry, "archive", lambda: _archive(entry.table("archive")))
    files = tuple(_file(table, archive) for table in entry.tables("files"))
    for path, what in clashes(file.path for file in files):
        entry.problem("files", f'"{path}" {what}')
    layout = entry.texts("layout", "|".join(LAYOUTS))
    commit = _optional(entry, "commit", lambda: entry.text("commit", COMMIT))
    repo = _optional(entry, "repo", lambda: entry.text("repo", REPO))
    if "hf" in layout and not (commit and repo):
        entry.problem("layout", 'is "hf", which needs a repo and a commit')
    scheme = cast("Scheme", entry.choice("scheme", SCHEMES))
    registered = _optional(entry, "registered", lambda: _registered(entry.table("registered")))
    if (scheme == "registry") != (registered is not None):
        entry.problem("scheme", 'is "registry" where "registered" says which version, and nowhere else')
    return PinnedArtifact(
        kind=kind,
        name=name,
        source=entry.text("source", _LINE),
        scheme=scheme,
        files=tuple(sorted(files, key=lambda file: file.path)),
        layout=cast("tuple[Layout, ...]", layout),
        revision=_optional(entry, "revision", lambda: entry.text("revision", _LINE)),
        commit=commit,
        repo=repo,
        repo_type=cast(
            "RepoType", _optional(entry, "repoType", lambda: entry.choice("repoType", get_args(RepoType))) or "model"
        ),
        include=_optional(entry, "include", lambda: entry.texts("include", _LINE)) or (),
        exclude=_optional(entry, "exclude", lambda: entry.texts("exclude", _LINE)) or (),
        member=_optional(entry, "member", lambda: entry.text("member", _LINE)),
        format=_optional(entry, "format", lambda: entry.text("format", r"[a-z0-9]+")),
        endpoint=_optional(entry, "endpoint", lambda: _url(entry, "endpoint")),
        licence=_optional(entry, "licence", lambda: entry.text("licence", _LINE)),
        gated="gated" in entry and entry.flag("gated"),
        data=_optional(entry, "manifest", lambda: parse_manifest(entry.table("manifest"))),
        registered=registered,
        extra_repos=_optional(entry, "extraRepos", lambda: entry.texts("extraRepos", REPO)) or (),
    )


def _file(entry: Table, archive: PinnedArchive | None) -> PinnedFile:
    entry.closed("path", "size", "sha256", "url", "local", "member")
    path = entry.text("path")
    member = _optional(entry, "member", lambda: entry.text("member"))
    local = _optional(entry, "local", lambda: entry.text("local"))
    for key, value in (("path", path), ("member", member), ("local", local)):
        what = path_problem(value.removeprefix("./") if key == "member" else value) if value is not None else None
        if what and key in entry:
            entry.problem(key, what)
    url = _optional(entry, "url", lambda: _url(entry, "url"))
    if sum(value is not None for value in (url, local, member)) > 1:
        entry.problem("path", "has more than one of url, local and member beside it")
    if member is not None and archive is None:
        entry.problem("member", "has no archive to be in")
    return PinnedFile(
        path=path,
        size=entry.integer("size"),
        sha256=entry.text("sha256", SHA256),
        url=url,
        local=local,
        member=member,
        archive=archive if member is not None else None,
    )


def _archive(entry: Table) -> PinnedArchive:
    entry.closed("sha256", "size", "url", "local")
    local = _optional(entry, "local", lambda: entry.text("local"))
    what = path_problem(local) if local is not None else None
    if what:
        entry.problem("local", what)
    url = _optional(entry, "url", lambda: _url(entry, "url"))
    return PinnedArchive(sha256=entry.text("sha256", SHA256), size=entry.integer("size"), url=url, local=local)


def _registered(entry: Table) -> Registered:
    entry.closed("registry", "model", "version", "digest")
    registry = entry.text("registry")
    if not address.is_folder(registry):
        entry.check_url("registry", registry, address.SCHEMES)
    return Registered(
        registry=registry,
        model=entry.text("model", f"{_WORD}/{_WORD}"),
        version=entry.text("version", _VERSION),
        digest=entry.text("digest", SHA256),
    )


def parse_manifest(entry: Table) -> DataManifest:
    """What a dataset's table has under ``manifest``."""
    entry.closed("dataset_name", "storage_uri", "record_count", "schema_hash", "content_hash", "created_at")
    return DataManifest(
        dataset_name=entry.text("dataset_name", _LINE),
        storage_uri=entry.text("storage_uri", _LINE),
        record_count=_optional(entry, "record_count", lambda: entry.integer("record_count")),
        schema_hash=_optional(entry, "schema_hash", lambda: entry.text("schema_hash", SHA256)),
        content_hash=entry.text("content_hash", SHA256),
        created_at=entry.text("created_at", _TIME),
    )


def _dump(artifact: PinnedArtifact) -> dict[str, Any]:
    archive = next((file.archive for file in artifact.files if file.archive is not None), None)
    return _given(
        source=artifact.source,
        scheme=artifact.scheme,
        revision=artifact.revision,
        commit=artifact.commit,
        repo=artifact.repo,
        repoType=None if artifact.repo_type == "model" else artifact.repo_type,
        layout=list(artifact.layout),
        include=list(artifact.include) or None,
        exclude=list(artifact.exclude) or None,
        member=artifact.member,
        format=artifact.format,
        endpoint=artifact.endpoint,
        licence=artifact.licence,
        gated=artifact.gated or None,
        archive=archive and _given(sha256=archive.sha256, size=archive.size, url=archive.url, local=archive.local),
        files=[
            _given(
                path=file.path, size=file.size, sha256=file.sha256, url=file.url, local=file.local, member=file.member
            )
            for file in sorted(artifact.files, key=lambda file: file.path)
        ],
        manifest=artifact.data and dump_manifest(artifact.data),
        registered=artifact.registered and asdict(artifact.registered),
        extraRepos=list(artifact.extra_repos) or None,
    )


def dump_manifest(manifest: DataManifest) -> dict[str, Any]:
    """The same, to be written."""
    return _given(
        dataset_name=manifest.dataset_name,
        storage_uri=manifest.storage_uri,
        record_count=manifest.record_count,
        schema_hash=manifest.schema_hash,
        content_hash=manifest.content_hash,
        created_at=manifest.created_at,
    )


def _given(**values: Any) -> dict[str, Any]:  # noqa: ANN401 -- any JSON value
    return {key: value for key, value in values.items() if value is not None}


def _optional(entry: Table, key: str, getter: Callable[[], _T]) -> _T | None:
    return getter() if key in entry else None


def _url(entry: Table, key: str) -> str:
    url = entry.text(key)
    entry.check_url(key, url, _URLS)
    return url
