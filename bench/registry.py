"""A registry of 10,000 versions: ``nixgen registry list`` and ``promote``, as whole commands."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from bench.measure import Row, timed, within
from bench.project import CACHE, NIXGEN, nixgen, notebook
from nixgen.log.append import append
from nixgen.log.seen import Seen
from nixgen.registry import checksums
from nixgen.registry.entry import Entry
from nixgen.registry.stamp import Stamp
from nixgen.releases import commands

MODELS, VERSIONS = 20, 500  # of each
LIST, PROMOTE = 0.5, 0.3  # seconds
POLICY = "version = 1\n[aliases.prod]\nmetrics.auc = { min = 0.5, drop = 0.005 }\n"


def registry() -> list[Row]:
    """Promotions in turn between two versions, each asked a threshold, and compared with the other."""
    folder = _prepared(CACHE / "registry")
    commands_ = [
        [NIXGEN, "registry", "list"],
        [NIXGEN, "registry", "promote", "model-3@0.0.0", "prod"],
        [NIXGEN, "registry", "promote", "model-3@0.499.0", "prod"],
    ]
    listing, promoting, _ = timed(commands_, 11, warm=2, cwd=folder)
    what = f"of a registry of {MODELS * VERSIONS:,} versions"
    return [
        within(f"`nixgen registry list` {what}", listing, LIST),
        within(f"`nixgen registry promote` {what}", promoting, PROMOTE, "synced to the disk"),
    ]


def _prepared(place: Path) -> Path:
    """A project with such a registry, its key beside it; made once."""
    os.environ["XDG_CONFIG_HOME"], os.environ["XDG_CACHE_HOME"] = str(place / "config"), str(place / "cache")
    folder = place / "project"
    if (place / "made").exists():
        return folder
    shutil.rmtree(place, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("pyproject.toml", "nixgen.lock"):
        shutil.copy(notebook("debian") / name, folder / name)
    (folder / "promotion.toml").write_text(POLICY)
    nixgen(folder, "registry", "init")
    with commands.writing(commands.Asked(folder), "") as found:
        assert found.signer is not None
        stamp, told = Stamp.now("ann@example.com"), []
        for number in range(MODELS * VERSIONS):
            model, version = f"{found.project}/model-{number % MODELS}", f"0.{number // MODELS}.0"
            files = {"model.bin": b"%d" % number, "metrics.json": b'{"auc": 0.9}\n', "run.json": b"{}\n"}
            listing = checksums.dump({name: checksums.digest(data) for name, data in files.items()})
            for name, data in {**files, "checksum.txt": listing}.items():
                path = folder / "registry" / model / version / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            told.append(stamp.entry("publish", model, version, digest=checksums.digest(listing)))
        append(found.log, told, found.signer, Seen.of(found.log, Entry))
    (place / "made").touch()
    return folder
