"""A published version as an OCI artifact of the ModelPack specification (CNCF, v0.0.7), in an OCI image layout.

Each file is a layer as it is: its digest is its SHA-256, and that of checksum.txt is the digest that the log has of the
version. All else comes from the log's entry and the files, so the same version has the same bytes.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from nixgen.errors import MachineError, UserError
from nixgen.machine import scratch
from nixgen.oci.model import Blob, Descriptor, Image, Unequal, named, write_archive, write_layout
from nixgen.registry import checksums
from nixgen.registry.entry import Entry
from nixgen.registry.fetch import fetch
from nixgen.registry.publish import DOCUMENTS
from nixgen.registry.registry import CHECKSUMS, Registry

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
    registry: Registry, entry: Entry, out: Path | None, push: Callable[[Image], object] = lambda _image: None
) -> Exported:
    """Writes a layout, into a folder or, where ``out`` ends in .tar, one file, and pushes it, or does that alone.

    All or nothing: ``out`` must not be there. Raises Finding for bytes that are not those that the log has, UserError,
    MachineError, and what ``push`` raises: what is written is there then.
    """
    if out is not None and os.path.lexists(out):
        raise UserError.of(str(out), "is there already", "name another place with --out, or remove it")
    with _guarded(out), scratch.folder(out.parent if out is not None else Path(tempfile.gettempdir())) as made:
        layout = made / "layout"
        image = _image(registry, entry, layout)
        write_layout(layout, [image])
        if out is not None and out.suffix == _ENDING:
            with (made / "whole").open("xb") as file:
                write_archive(file.write, [image])
            (made / "whole").rename(out)
        elif out is not None:
            layout.rename(out)
            layout.symlink_to(out.absolute())  # where the image's blobs are read
        push(image)
    _, *layers = image.blobs
    return Exported(image.manifest.descriptor.digest, len(layers), sum(layer.descriptor.size for layer in layers))


def _image(registry: Registry, entry: Entry, layout: Path) -> Image:
    """The image, its files fetched to where the layout has them."""
    files = layout.parent / "files"
    fetch(registry, entry, files)
    hashes = {**checksums.parse((files / CHECKSUMS).read_bytes()), CHECKSUMS: entry.digest}
    run = _run(files)
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    rows = []
    for path, sha256 in sorted(hashes.items()):
        size = (files / path).stat().st_size
        shutil.move(files / path, blobs / sha256)
        rows.append(File(path, sha256, size, blobs / sha256))
    git = run.get("git")
    known = {"revision": git.get("commit"), "sourceURL": git.get("remote")} if isinstance(git, dict) else {}
    about = {
        "createdAt": entry.at,
        "authors": [entry.by],
        "name": entry.model.partition("/")[2],
        "title": entry.model,
        "version": entry.version,
        **{key: value for key, value in known.items() if isinstance(value, str) and value},
    }
    return packed(rows, about)


@dataclass(frozen=True, slots=True)
class File:
    """A file of a model: its path in it, and where it lies."""

    path: str
    sha256: str
    size: int
    place: Path


def packed(files: Sequence[File], about: Mapping[str, Any]) -> Image:
    """The artifact of these files; ``about`` is the specification's "descriptor", with title, version and createdAt."""
    layers = [Blob.of_file(file.place, _layer(about["createdAt"], file)) for file in files]
    weights = {PurePosixPath(file.path).suffix for file in files if _kind(file.path) == "weight"}
    formats = {_FORMATS.get(suffix) for suffix in weights}
    config = {
        "descriptor": dict(about),
        "modelfs": {"type": "layers", "diffIds": [layer.descriptor.digest for layer in layers]},
        "config": {"format": formats.pop()} if len(formats) == 1 and None not in formats else {},
    }
    made = {"org.opencontainers.image.created": about["createdAt"],
            "org.opencontainers.image.version": about["version"],
            "org.opencontainers.image.title": about["title"]}  # fmt: skip
    image = Image.of(Blob.of(config, CONFIG), layers, artifactType=ARTIFACT, annotations=made)
    return named(image, about["version"])


def _layer(at: str, file: File) -> Descriptor:
    name = PurePosixPath(file.path)
    metadata = {"name": name.name, "mode": 0o644, "uid": 0, "gid": 0, "size": file.size, "mtime": at,
                "typeflag": ord("0")}  # fmt: skip
    notes = {
        "org.cncf.model.filepath": file.path,
        "org.cncf.model.file.metadata+json": json.dumps(metadata, sort_keys=True, separators=(",", ":")),
        # The kind of a file is told by its name.
        "org.cncf.model.file.mediatype.untested": "false" if file.path in DOCUMENTS else "true",
        "org.opencontainers.image.title": file.path,
    }
    return Descriptor(_LAYER.format(_kind(file.path)), f"sha256:{file.sha256}", file.size, notes)


def _kind(path: str) -> str:
    name = PurePosixPath(path)
    if path in DOCUMENTS or name.suffix == ".md" or name.name.partition(".")[0].upper() in _TEXTS:
        return "doc"
    if name.suffix in _CODE:
        return "code"
    return "weight.config" if name.suffix in _CONFIGS else "weight"


def _run(files: Path) -> Mapping[str, Any]:
    """What the run's record says; nothing where there is none."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        found = json.loads((files / _RUN).read_bytes())
        return found if isinstance(found, dict) else {}
    return {}


@contextlib.contextmanager
def _guarded(out: Path | None) -> Iterator[None]:
    try:
        yield
    except Unequal as error:
        raise MachineError.of(error.where, error.what, error.mend) from None
    except OSError as error:
        raise MachineError.of(str(error.filename or out or ""), f"cannot be written: {error.strerror}") from None
