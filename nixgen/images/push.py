"""Images into registries: under which tags, and how much of it is sent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nixgen.console import Line, console, size
from nixgen.images.attached import Document
from nixgen.images.build import Made
from nixgen.registries.client import Place, Registry, tagged
from nixgen.registries.push import attach
from nixgen.registries.push import push as send


@dataclass(frozen=True, slots=True)
class Target:
    """Where to; without tags, an image's version is its tag."""

    place: Place
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """What a push did: bytes of layers that were sent, and the image's tags."""

    sent: int
    tags: tuple[str, ...]


def target(address: str, tags: Sequence[str]) -> Target:
    """What the words of the command mean. Raises UserError."""
    place = Place.of(address)
    return Target(place, tuple(dict.fromkeys(filter(None, (place.tag, *map(tagged, tags))))))


def push(made: Made, to: Target, documents: Sequence[Document] = ()) -> Done:
    """Sends an image, and attaches documents to it. Raises UserError, MachineError, and Unequal for what changed."""
    version = made.name.rpartition(":")[2]
    tags = to.tags or (re.sub(r"[^\w.-]", "_", version, flags=re.ASCII),)  # 1.0+cu126: a tag has no plus sign
    total, done, line = made.size, [0], Line()

    def seen(count: int) -> None:
        done[0] += count
        if not console.quiet:
            line.write(f"pushing {size(done[0])} of {size(total)}" if done[0] < total else "")

    registry = Registry(to.place, "pull,push")
    try:
        sent = send(registry, made.whole, tags, seen)
        for document in documents:
            attach(registry, made.whole.manifest.descriptor, document.data, document.media_type, document.title)
    finally:
        line.write("")
        registry.close()
    return Done(sent, tags)
