"""``oci:HOST/NAME:TAG``: the layers of an artifact in a registry, by their digests (OCI distribution and image specs).

A ModelKit's layers are tars; each is one file here, and with ``member`` the archive of one. What ``oras push`` made is
the files themselves. A layer's digest is its SHA-256: it is pinned without being read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nixgen.artifacts.http.client import parsed
from nixgen.artifacts.http.transfer import Wanted
from nixgen.artifacts.model import ArtifactSpec, PinnedArtifact, PinnedFile
from nixgen.artifacts.sources.answers import count, mapping, sequence, text
from nixgen.artifacts.sources.context import Context
from nixgen.artifacts.sources.paths import chosen
from nixgen.artifacts.sources.pinning import pinned
from nixgen.artifacts.store import store_name
from nixgen.errors import MachineError, NixgenError, UserError
from nixgen.registries.client import Registry
from nixgen.registries.place import DIGEST, Place, reference

_NAMES = ("org.opencontainers.image.title", "org.cncf.model.filepath")


def resolve(spec: ArtifactSpec, previous: PinnedArtifact | None, context: Context) -> PinnedArtifact:
    """Pins the layers of the manifest that a tag means now."""
    del previous, context  # nothing is read but the manifest
    registry, by = _opened(spec.source, spec.where)
    try:
        manifest = _manifest(registry, by, spec.where)
    finally:
        registry.close()
    layers: dict[str, PinnedFile] = {}
    for layer in sequence(manifest.get("layers"), spec.where):
        file = _layer(mapping(layer, spec.where), spec.where)
        if layers.get(file.path, file) != file:
            raise UserError.of(spec.where, f"two layers have the name {file.path}", "tell its publisher")
        layers[file.path] = file
    picked = chosen(list(layers), spec.include, spec.exclude, spec.where, spec.source)
    return pinned(spec, [layers[path] for path in picked])


def fetch(artifact: PinnedArtifact, context: Context, missing: Iterable[PinnedFile]) -> dict[str, Path]:
    """Reads layers by their digests into the holder."""
    files = list(missing)
    registry, _ = _opened(artifact.source, artifact.key)
    rows = [
        (
            Wanted(
                registry.place.url("blobs", f"sha256:{file.sha256}"), file.path, artifact.key, file.sha256, file.size
            ),
            store_name(file.path),
        )
        for file in files
    ]
    found = context.read_all(rows, registry, artifact.key)
    return {file.path: item.path for file, item in zip(files, found, strict=True) if item.path is not None}


def _manifest(registry: Registry, by: str, where: str, *, inner: bool = False) -> Mapping[str, Any]:
    """The manifest of a tag or digest, compared with the digest; of an index the only one that it has."""
    _, body = registry.manifest(by, where)
    try:
        manifest = mapping(parsed(body), where)
    except ValueError:
        raise MachineError.of(where, "the registry's manifest is cut off or is not JSON", "try again") from None
    if "manifests" in manifest:
        rows = sequence(manifest["manifests"], where)
        if len(rows) != 1 or inner:
            mend = "choose one by its digest: oci:HOST/NAME@sha256:DIGEST"
            what = "an index of indexes" if inner else f"an index of {len(rows)} manifests"
            raise UserError.of(where, f"{registry.place.name} is {what}", mend)
        digest = text(mapping(rows[0], where), "digest", where)
        if not DIGEST.fullmatch(digest):
            raise UserError.of(where, f"its index names {digest!a}, which is not a sha256", "use another source")
        return _manifest(registry, digest, where, inner=True)
    return manifest


def _layer(layer: Mapping[str, Any], where: str) -> PinnedFile:
    digest = text(layer, "digest", where)
    if not DIGEST.fullmatch(digest):
        raise UserError.of(
            where, f"has a layer with the digest {digest!a}, which is not a sha256", "use another source"
        )
    sha256 = digest.removeprefix("sha256:")
    notes = layer.get("annotations")
    notes = notes if isinstance(notes, dict) else {}
    name = next((notes[key] for key in _NAMES if isinstance(notes.get(key), str)), None)
    if name is None:
        # application/vnd.kitops.modelkit.model.v1.tar+gzip: a part of a ModelKit.
        media = text(layer, "mediaType", where)
        kind = re.search(r"\.(\w+)\.v\d+\.tar", media)
        ending = ".tar" + {"gzip": ".gz", "zstd": ".zst"}.get(media.rpartition("+")[2], "") if ".tar" in media else ""
        name = f"{kind[1] if kind else 'layer'}-{sha256[:12]}{ending}"
    return PinnedFile(name, count(layer, "size", where), sha256)


def _opened(source: str, where: str) -> tuple[Registry, str]:
    """The repository that a source names, and the tag or digest in it; without either it is "latest"."""
    place, by = reference(source)
    return Registry(place, refused=lambda status, _: _sentence(place, by, where, status)), by


def _sentence(place: Place, by: str, where: str, status: int) -> NixgenError | None:
    if status in (401, 403, 404):
        login = f"log in (podman login), or put a login for {place.realm} into the netrc file"
        what = f"the registry {place.host} has no {place.name} at {by}, or it is private"
        return UserError.of(where, what, f"check the name; for a private one {login}")
    return None
