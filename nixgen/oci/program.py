"""The program of ``nix run .#image``: writes the archive of an image that the store has, without nixgen."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from . import stored
from .model import Unequal, write_archive

_HELP = """usage: {name} [--digest] > image.tar
Writes an archive of the image {image}, which podman load, docker load and skopeo read.
--digest prints the digest of its manifest.
"""


def main(name: str, folder: str) -> int:
    """Streams the archive to stdout, or prints the digest."""
    found = stored.read(Path(folder))
    if sys.argv[1:] == ["--digest"]:
        sys.stdout.write(f"{found.digest}\n")
        return 0
    if sys.argv[1:] or sys.stdout.isatty():
        sys.stderr.write(_HELP.format(name=name, image=found.name))
        return 0 if sys.argv[1:] in (["--help"], ["-h"]) else 2
    try:
        with os.fdopen(os.dup(1), "wb") as out:
            write_archive(out.write, [found.image], found.name)
    except Unequal as error:
        sys.stderr.write(f"error: {error}\n" + (f"  hint: {error.mend}\n" if error.mend else ""))
        return 1
    except OSError as error:
        sys.stderr.write(f"error: the archive cannot be written: {error.strerror}\n")
        return 3
    return 0
