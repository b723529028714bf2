"""A published version as an OCI artifact of the ModelPack specification (CNCF, v0.0.7), in an OCI image layout.

Each file is a layer as it is: its digest is its SHA-256, and that of checksum.txt is the digest that the log has of the
version. All else comes from the log's entry and the files, so the same version has the same bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from nixgen.errors import MachineError, UserError
from nixgen.machine import scratch
from nixgen.registry import checksums
from nixgen.registry.entry import Entry
from nixgen.registry.fetch import fetch
from nixgen.registry.publish import DOCUMENTS
from nixgen.registry.registry import CHECKSUMS, Registry

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
ARTIFACT = "application/vnd.cncf.model.manifest.v1+json"
CONFIG = "application/vnd.cncf.model.config.v1+json"
_LAYER = "application/vnd.cncf.model.{}.v1.raw"
_RUN = "run.json"
_ENDING = ".tar"  # of an output that is one file
_FORMATS = {".onnx": "onnx", ".safetensors": "safetensors", ".gguf": "gguf", ".pt": "pt"}
_TEXTS = {"LICENSE", "LICENCE", "NOTICE", "README"}
_CONFIGS = {
    ".json",
    ".toml",
    ".yaml",
    ".yml",
    ".txt",
    ".model",
    ".jinja",
}  # as tokenizers and configurations are called
_CODE = {".py", ".sh", ".ipynb"}


@dataclass(frozen=True, slots=True)
class Exported:
    """A layout: its manifest's digest ("sha256:…"), how many layers it has, and the bytes of all of them."""

    digest: str
    layers: int
    size: int


def export(
    registry: Registry, entry: Entry, out: Path | None, push: Callable[[Path], object] = lambda _layout: None
) -> Exported:
    """Writes a layout, into a folder or, where ``out`` ends in .tar, one file, and pushes it, or does that alone.

    All or nothing: ``out`` must not be there. Raises Finding for bytes that are not those that the log has, UserError,
    MachineError, and what ``push`` raises: what is written is there then.
    """
    if out is not None and os.path.lexists(out):
        raise UserError.of(str(out), "is there already", "name another place with --out, or remove it")
    with _guarded(out), scratch.folder(out.parent if out is not None else Path(tempfile.gettempdir())) as made:
        layout = made / "layout"
        done = _layout(registry, entry, layout)
        if out is not None and out.suffix == _ENDING:
            _archive(layout, made / "whole")
            (made / "whole").rename(out)
        elif out is not None:
            layout = layout.rename(out)
        push(layout)
    return done


def _layout(registry: Registry, entry: Entry, layout: Path) -> Exported:
    files = layout.parent / "files"
    fetch(registry, entry, files)
    hashes = {**checksums.parse((files / CHECKSUMS).read_bytes()), CHECKSUMS: entry.digest}
    run = _run(files)
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    layers = []
    for path, sha256 in sorted(hashes.items()):
        size = (files / path).stat().st_size
        shutil.move(files / path, blobs / sha256)
        layers.append(_layer(entry, path, sha256, size))
    config = _blob(blobs, CONFIG, _config(entry, layers, [*hashes], run))
    made = {"org.opencontainers.image.created": entry.at, "org.opencontainers.image.version": entry.version,
            "org.opencontainers.image.title": entry.model}  # fmt: skip
    manifest = _blob(blobs, MANIFEST, {
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": ARTIFACT,
        "config": config, "layers": layers, "annotations": made,
    })  # fmt: skip
    named = {"org.opencontainers.image.ref.name": entry.version}
    index = {"schemaVersion": 2, "mediaType": INDEX,
             "manifests": [{**manifest, "artifactType": ARTIFACT, "annotations": named}]}  # fmt: skip
    (layout / "index.json").write_bytes(_json(index))
    (layout / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
    return Exported(manifest["digest"], len(layers), sum(layer["size"] for layer in layers))


def _layer(entry: Entry, path: str, sha256: str, size: int) -> dict[str, Any]:
    name = PurePosixPath(path)
    metadata = {"name": name.name, "mode": 0o644, "uid": 0, "gid": 0, "size": size, "mtime": entry.at,
                "typeflag": ord("0")}  # fmt: skip
    notes = {
        "org.cncf.model.filepath": path,
        "org.cncf.model.file.metadata+json": json.dumps(metadata, sort_keys=True, separators=(",", ":")),
        # The kind of a file is told by its name.
        "org.cncf.model.file.mediatype.untested": "false" if path in DOCUMENTS else "true",
        "org.opencontainers.image.title": path,
    }
    return {"mediaType": _LAYER.format(_kind(path)), "digest": f"sha256:{sha256}", "size": size, "annotations": notes}


def _kind(path: str) -> str:
    name = PurePosixPath(path)
    if path in DOCUMENTS or name.suffix == ".md" or name.name.partition(".")[0].upper() in _TEXTS:
        return "doc"
    if name.suffix in _CODE:
        return "code"
    return "weight.config" if name.suffix in _CONFIGS else "weight"


def _config(
    entry: Entry, layers: Sequence[Mapping[str, Any]], paths: Sequence[str], run: Mapping[str, Any]
) -> dict[str, Any]:
    git = run.get("git")
    known = {"revision": git.get("commit"), "sourceURL": git.get("remote")} if isinstance(git, dict) else {}
    weights = {PurePosixPath(path).suffix for path in paths if _kind(path) == "weight"}
    formats = {_FORMATS.get(suffix) for suffix in weights}
    return {
        "descriptor": {
            "createdAt": entry.at,
            "authors": [entry.by],
            "name": entry.model.partition("/")[2],
            "title": entry.model,
            "version": entry.version,
            **{key: value for key, value in known.items() if isinstance(value, str) and value},
        },
        "modelfs": {"type": "layers", "diffIds": [layer["digest"] for layer in layers]},
        "config": {"format": formats.pop()} if len(formats) == 1 and None not in formats else {},
    }


def _run(files: Path) -> Mapping[str, Any]:
    """What the run's record says; nothing where there is none."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        found = json.loads((files / _RUN).read_bytes())
        return found if isinstance(found, dict) else {}
    return {}


def _blob(blobs: Path, media: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """Writes JSON as a blob; its descriptor."""
    data = _json(value)
    sha256 = hashlib.sha256(data).hexdigest()
    (blobs / sha256).write_bytes(data)
    return {"mediaType": media, "digest": f"sha256:{sha256}", "size": len(data)}


def _json(value: Mapping[str, Any]) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace")  # half a character, which JSON has so


def _archive(layout: Path, out: Path) -> None:
    """One file of a layout, in which nothing is of this machine or moment."""
    with tarfile.open(out, "x:", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(layout.rglob("*")):
            entry = tarfile.TarInfo(path.relative_to(layout).as_posix())
            entry.type = tarfile.DIRTYPE if path.is_dir() else tarfile.REGTYPE
            entry.mode = 0o755 if path.is_dir() else 0o644
            if path.is_dir():
                archive.addfile(entry)
                continue
            entry.size = path.stat().st_size
            with path.open("rb") as file:
                archive.addfile(entry, file)


@contextlib.contextmanager
def _guarded(out: Path | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MachineError.of(str(error.filename or out or ""), f"cannot be written: {error.strerror}") from None
