"""An image as the Nix store has it: a folder with its JSON files, whose layers are streamed from other store paths.

``image.json`` says what the layers are made of and which digests they have, ``config.json`` and ``manifest.json`` are
the image's own, byte for byte, and ``digest`` is the manifest's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import layers
from .model import CONFIG, Blob, Image, Unequal, encoded, named

FILES = ("config.json", "digest", "image.json", "manifest.json")


@dataclass(frozen=True, slots=True)
class Stored:
    """An image with its name ("demo:1.0"), and what its layers are called."""

    image: Image
    name: str
    titles: tuple[str, ...]
    paths: Mapping[str, str]
    """Store paths of its layers → NAR hash."""

    @property
    def digest(self) -> str:
        """The manifest's."""
        return self.image.manifest.descriptor.digest

    @property
    def size(self) -> int:
        """Bytes of all layers."""
        return sum(blob.descriptor.size for blob in self.image.blobs[1:])


def write(folder: Path, plan: Mapping[str, Any], config: bytes) -> None:
    """Writes the files of an image: ``plan`` has name, platform, annotations, and layers with their digests."""
    image = _image(plan, config, "", 1)
    texts = (config, f"{image.manifest.descriptor.digest}\n".encode(), encoded(plan), b"".join(image.manifest.open()))
    folder.mkdir()
    for name, data in zip(FILES, texts, strict=True):
        (folder / name).write_bytes(data)


def read(folder: Path, root: str = "", threads: int = 2) -> Stored:
    """The image of a folder; ``root`` is where the store's /nix lies. Raises OSError, and Unequal for other files."""
    try:
        plan = json.loads((folder / "image.json").read_bytes())
        image = _image(plan, (folder / "config.json").read_bytes(), root, threads)
        same = b"".join(image.manifest.open()) == (folder / "manifest.json").read_bytes()
        rows = plan["layers"]
        paths = {path["path"]: path["narHash"] for layer in rows for path in layer.get("paths", ())}
        titles = tuple(layer["title"] for layer in rows)
    except (ValueError, KeyError, TypeError, AttributeError):
        same = False
    if not same:
        raise Unequal(str(folder), "is no image that this nixgen can read", "nixgen generate; then build it again")
    return Stored(image, plan["name"], titles, paths)


def _image(plan: Mapping[str, Any], config: bytes, root: str, threads: int) -> Image:
    made = [layers.blob(layer, root, threads) for layer in plan["layers"]]
    image = Image.of(Blob.of_bytes(config, CONFIG), made, annotations=plan["annotations"])
    descriptor = replace(image.manifest.descriptor, platform=plan["platform"])
    return named(replace(image, manifest=replace(image.manifest, descriptor=descriptor)), plan["name"])
