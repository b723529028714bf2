"""Images: digests of all layers beside ``tar`` of the same paths into a SHA-256, and what the whole command takes."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path

from bench.evaluation import through
from bench.measure import Row, ratio, show, timed, within
from bench.project import NIXGEN, ROOT, nix_versions, notebook

GIB = 1 << 30
RUNS = 3


def images() -> list[Row]:
    """The notebook's image with the newest Nix: its layers by themselves, then the command where all is built."""
    folder, nix = notebook("debian"), nix_versions()[-1]
    version = ".".join(map(str, nix.version))
    image = nix.build_expression(f'(import {folder} {{ }}).images.""')
    plan = json.loads(nix.real(image / "image.json").read_text())
    paths = [path["path"] for layer in plan["layers"] for path in layer.get("paths", ())]
    size = sum(layer["size"] for layer in plan["layers"]) / GIB
    ours = [sys.executable, "-m", "bench.images", str(image)]
    tar = f"tar --create --file - {shlex.join(paths)} 2>/dev/null"
    others = [["sh", "-c", f"{tar} | {program}"] for program in ("openssl dgst -sha256", "sha256sum")]
    first, openssl, coreutils = timed([ours, *others], RUNS, cwd=ROOT, through=through(nix))
    (command,) = timed([[NIXGEN, "image", "build", "--quiet"]], RUNS, cwd=folder, through=through(nix))
    what = (
        f"digests of an image's layers, notebook, {size:.2f} GiB, {len(paths)} paths, each compared with its NAR hash"
    )
    theirs = "`tar` into `openssl dgst -sha256`"
    return [
        ratio(what, first, openssl, 1.2, theirs, f"`tar` into `sha256sum`: {show(coreutils.median)}"),
        within(f"`nixgen image build`, notebook, nothing changed, Nix {version}", command, 1.0),
    ]


def main(folder: str) -> int:
    """Works out the digests of an image's layers anew, as the builder does."""
    from nixgen.oci import layers

    plan = json.loads((Path(folder) / "image.json").read_text())
    threads = min(2, os.cpu_count() or 1)
    found = [layers.described({**layer, "digest": ""}, "", threads)["digest"] for layer in plan["layers"]]
    return 0 if found == [layer["digest"] for layer in plan["layers"]] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
