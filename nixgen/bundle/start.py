"""The start script, with which a bundle begins: what unpacks and enters it where there is neither Nix nor nixgen."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from nixgen import resources
from nixgen.bundle import model
from nixgen.bundle.model import Bundle

SIZE = 16384
"""Bytes of the script with the blank lines behind it; what follows is the gzip file."""

_MACHINES = {
    "x86_64-linux": "Linux-x86_64",
    "aarch64-linux": "Linux-aarch64 | Linux-arm64",
    "x86_64-darwin": "Darwin-x86_64",
    "aarch64-darwin": "Darwin-arm64",
}


def script(bundle: Bundle) -> bytes:
    """The script of a bundle, ``SIZE`` bytes. It is the last thing to be made: ``start`` has no part in it."""
    alone = model.dump(replace(bundle, start=""))
    text = (
        resources.templates()
        .get_template("bundle-start.sh")
        .render(
            project=bundle.project,
            system=bundle.system,
            machine=_MACHINES.get(bundle.system, "no-machine"),
            id=model.digest(alone)[:32],
            size=-(-bundle.size >> 20) or 1,
            skip=SIZE,
            environments=sorted(bundle.environments.items()),
        )
    )
    return text.encode().ljust(SIZE, b"\n")


def started(bundle: Bundle) -> tuple[Bundle, bytes]:
    """The bundle with its script's hash, and the script."""
    text = script(bundle)
    return replace(bundle, start=hashlib.sha256(text).hexdigest()), text
