"""Images and their parts as values (OCI image specification 1.1), and writing them: as a layout and as an archive.

A blob is opened when it is written or sent, so that an image of any size is a small value.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from . import ustar

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
REFERENCE = "org.opencontainers.image.ref.name"
"""The annotation with the name of an image in a layout."""
CHUNK = 1 << 20


class Unequal(Exception):  # noqa: N818 - what was read is not what it was said to be
    """Bytes are not those that were promised: says where, what, and what mends it."""

    def __init__(self, where: str, what: str, mend: str = "") -> None:
        self.where, self.what, self.mend = where, what, mend
        super().__init__(f"{where}: {what}")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a blob is called by: its kind, its digest ("sha256:…"), its size in bytes, its platform ("linux/amd64")."""

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: str | None = None
    artifact_type: str = ""

    @property
    def sha256(self) -> str:
        """The digest without the name of its algorithm."""
        return self.digest.partition(":")[2]

    def json(self) -> dict[str, Any]:
        """It as manifests and indexes have it."""
        found: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.platform is not None:
            system, _, architecture = self.platform.partition("/")
            found["platform"] = {"os": system, "architecture": architecture}
        if self.artifact_type:
            found["artifactType"] = self.artifact_type
        if self.annotations:
            found["annotations"] = dict(self.annotations)
        return found


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes with their descriptor. ``open`` gives them in pieces, as often as it is called, and may raise Unequal."""

    descriptor: Descriptor
    open: Callable[[], Iterator[bytes]]

    @classmethod
    def of(cls, value: Mapping[str, Any], media_type: str) -> Blob:
        """The JSON form of a value."""
        return cls.of_bytes(encoded(value), media_type)

    @classmethod
    def of_bytes(cls, data: bytes, media_type: str) -> Blob:
        """These bytes."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        return cls(Descriptor(media_type, digest, len(data)), lambda: iter((data,)))

    @classmethod
    def of_file(cls, path: Path, descriptor: Descriptor) -> Blob:
        """A file with a descriptor that is known."""
        return cls(descriptor, lambda: pieces(path))

    def checked(self) -> Iterator[bytes]:
        """Its bytes; raises Unequal at the end where they are not those of the descriptor."""
        found, size = hashlib.sha256(), 0
        for piece in self.open():
            found.update(piece)
            size += len(piece)
            yield piece
        if (found.hexdigest(), size) != (self.descriptor.sha256, self.descriptor.size):
            what = f"is sha256:{found.hexdigest()} with {size} bytes now, and not what the manifest says"
            raise Unequal(self.descriptor.digest, what)


@dataclass(frozen=True, slots=True)
class Image:
    """An image or artifact: its manifest, and what that names: the config, then the layers."""

    manifest: Blob
    blobs: tuple[Blob, ...]

    @classmethod
    def of(cls, config: Blob, layers: Sequence[Blob], **more: Any) -> Image:  # noqa: ANN401 -- any JSON
        """One with the manifest of these; ``more`` are its further keys, as annotations, artifactType and subject."""
        described = [layer.descriptor.json() for layer in layers]
        value = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config.descriptor.json(), "layers": described}
        manifest = Blob.of(value | more, MANIFEST)
        kind = replace(manifest.descriptor, artifact_type=more.get("artifactType", ""))
        return cls(replace(manifest, descriptor=kind), (config, *layers))

    @property
    def images(self) -> tuple[Image, ...]:
        """The images of it: itself. An index has several."""
        return (self,)


@dataclass(frozen=True, slots=True)
class Index:
    """The same image for several platforms: an index, and an image for each."""

    manifest: Blob
    images: tuple[Image, ...]

    @classmethod
    def of(cls, images: Sequence[Image], **more: Any) -> Index:  # noqa: ANN401 -- any JSON
        """One with the index of these images, which have their platforms."""
        described = [image.manifest.descriptor.json() for image in images]
        value = {"schemaVersion": 2, "mediaType": INDEX, "manifests": described}
        return cls(Blob.of(value | more, INDEX), tuple(images))


Whole = TypeVar("Whole", bound="Image | Index")


def blobs(images: Iterable[Image | Index]) -> tuple[Blob, ...]:
    """All blobs of them, each once, manifests behind what they name."""
    found: dict[str, Blob] = {}
    for whole in images:
        for image in whole.images:
            found |= {blob.descriptor.digest: blob for blob in (*image.blobs, image.manifest)}
        found[whole.manifest.descriptor.digest] = whole.manifest
    return tuple(found.values())


def named(whole: Whole, name: str) -> Whole:
    """It with a name, as ``demo:1.0``, in the layout or archive that it is written to."""
    descriptor = whole.manifest.descriptor
    notes = {**descriptor.annotations, REFERENCE: name}
    return replace(whole, manifest=replace(whole.manifest, descriptor=replace(descriptor, annotations=notes)))


def encoded(value: Mapping[str, Any]) -> bytes:
    """JSON in the one form that nixgen writes it in."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace")  # half a character, which JSON has so


def pieces(path: Path) -> Iterator[bytes]:
    """The bytes of a file."""
    with path.open("rb", buffering=0) as file:
        while piece := file.read(CHUNK):
            yield piece


def write_layout(folder: Path, images: Sequence[Image | Index]) -> None:
    """Writes an image layout into a folder, which may have blobs already. Raises Unequal and OSError."""
    place = folder / "blobs" / "sha256"
    place.mkdir(parents=True, exist_ok=True)
    for blob in blobs(images):
        path = place / blob.descriptor.sha256
        if not path.exists():
            with path.open("xb") as file:
                for piece in blob.checked():
                    file.write(piece)
    for name, data in _texts(images).items():
        (folder / name).write_bytes(data)


def write_archive(write: Callable[[bytes], object], images: Sequence[Image | Index], docker: str = "") -> None:
    """Writes an image layout as a tar, from front to end. Raises Unequal, and what ``write`` raises.

    With ``docker``, a name with a tag, it is also what ``docker load`` took before it knew layouts.
    """
    names = _texts(images)
    whole = [image for one in images for image in one.images]
    if docker and len(whole) == 1:
        names["manifest.json"] = _docker(whole[0], docker)
    for name in ("blobs/", "blobs/sha256/"):
        write(ustar.header(name.encode(), ustar.DIRECTORY, 0o755))
    for blob in sorted(blobs(images), key=lambda blob: blob.descriptor.sha256):
        size = blob.descriptor.size
        write(ustar.header(f"blobs/sha256/{blob.descriptor.sha256}".encode(), ustar.FILE, 0o644, size))
        for piece in blob.checked():
            write(piece)
        write(ustar.padding(size))
    for name, data in sorted(names.items()):
        write(ustar.header(name.encode(), ustar.FILE, 0o644, len(data)) + data + ustar.padding(len(data)))
    write(ustar.END)


def _texts(images: Iterable[Image | Index]) -> dict[str, bytes]:
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [one.manifest.descriptor.json() for one in images]}
    return {"index.json": encoded(index), "oci-layout": encoded({"imageLayoutVersion": "1.0.0"})}


def _docker(image: Image, name: str) -> bytes:
    config, *layers = (f"blobs/sha256/{blob.descriptor.sha256}" for blob in image.blobs)
    text = json.dumps([{"Config": config, "Layers": layers, "RepoTags": [name]}], separators=(",", ":"))
    return text.encode()
