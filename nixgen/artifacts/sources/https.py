"""``https:`` one file at an address. Pinned by what it is when it is locked, or by the sha256 of models.toml."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from nixgen.artifacts.http.client import Client
from nixgen.artifacts.http.transfer import Wanted
from nixgen.artifacts.model import ArtifactSpec, PinnedArtifact, PinnedFile
from nixgen.artifacts.sources.context import Context
from nixgen.artifacts.sources.paths import check
from nixgen.artifacts.sources.pinning import pinned
from nixgen.artifacts.store import store_name


def resolve(spec: ArtifactSpec, previous: PinnedArtifact | None, context: Context) -> PinnedArtifact:
    """Reads the file, which ends in the holder; one that is held already, by the sha256 of models.toml, is not read."""
    del previous  # an address alone does not say that its file is still the same
    path = unquote(urlsplit(spec.source).path).rpartition("/")[2]
    check([path], spec.where, spec.source)
    return pinned(spec, [read_one(spec, spec.source, path, context)])


def fetch(artifact: PinnedArtifact, context: Context, missing: Iterable[PinnedFile]) -> dict[str, Path]:
    """Reads pinned files from their addresses into the holder; where each is now."""
    files = list(missing)
    rows = [
        (Wanted(str(file.url), file.path, artifact.key, file.sha256, file.size), store_name(file.path))
        for file in files
    ]
    found = context.read_all(rows, Client(), artifact.key)
    return {file.path: item.path for file, item in zip(files, found, strict=True) if item.path is not None}


def read_one(
    spec: ArtifactSpec, url: str, path: str, context: Context, *, sha256: str | None = None, size: int | None = None
) -> PinnedFile:
    """The file at an address, which must have the SHA-256 that is known of it."""
    sha256 = sha256 or spec.sha256
    name = store_name(path)
    if sha256 and context.holder:
        held = context.holder.find([(name, sha256)]).get((name, sha256))
        if held is not None and held.is_file():
            return PinnedFile(path, held.stat().st_size, sha256, url)
    [found] = context.read_all([(Wanted(url, path, spec.where, sha256, size), name)], Client(), spec.key)
    return PinnedFile(path, found.size, found.sha256, url)
