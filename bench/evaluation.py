"""How long Nix takes to tell what is to be built, and to enter a shell that is built."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measure import Row, ratio, timed, within
from bench.project import nix_versions, notebook

if TYPE_CHECKING:
    from support.nix import Nix

PEERS = {
    "uv2nix": "NIXGEN_BENCH_UV2NIX",
    "pyprojectNix": "NIXGEN_BENCH_PYPROJECT_NIX",
    "lib": "NIXGEN_BENCH_NIXPKGS_LIB",
}


def evaluation() -> list[Row]:
    """The environment's derivation path: alone in each version of Nix, and beside uv2nix in the newest."""
    folder = notebook("debian")
    rows = []
    for nix in nix_versions():
        (ours,) = timed([_ours(nix, folder)], 15, warm=2, through=through(nix))
        rows.append(within(f"derivation path of the notebook's environment, Nix {version(nix)}", ours, 0.12))
    newest = nix_versions()[-1]
    missing = [variable for variable in PEERS.values() if not os.environ.get(variable)]
    if missing:
        note = f"not compared with uv2nix: {', '.join(missing)} not set"
        return [*rows, Row("the same beside uv2nix", "not measured", note=note)]
    theirs = [str(newest.bin / "nix-instantiate"), str(Path(__file__).parent / "peers" / "uv2nix.nix")]
    for argument, variable in PEERS.items():
        theirs += ["--arg", argument, os.environ[variable]]
    theirs += ["--arg", "workspace", str(folder)]
    ours, peers = timed([_ours(newest, folder), theirs], 15, warm=2, through=through(newest))
    what = f"derivation path beside uv2nix, Nix {version(newest)}"
    return [*rows, ratio(what, ours, peers, 1.0, "uv2nix", "uv2nix over stand-ins for nixpkgs' packages")]


def develop() -> list[Row]:
    """``nix develop DIR -c true``, warm, from inside the project and from outside of it."""
    folder = notebook("debian")
    rows = []
    for nix in nix_versions():
        nix.develop(folder, "true")
        command = [str(nix.bin / "nix"), "develop", str(folder), "-c", "true"]
        for where, start in (("inside", folder), ("outside", folder.parent)):
            (series,) = timed([command], 15, warm=2, cwd=start, through=through(nix))
            rows.append(within(f"`nix develop DIR -c true`, warm, from {where}, Nix {version(nix)}", series, 0.3))
    return rows


def _ours(nix: Nix, folder: Path) -> list[str]:
    return [str(nix.bin / "nix-instantiate"), str(folder), "-A", "environment"]


def version(nix: Nix) -> str:
    """The version for a row: "2.34.8"."""
    return ".".join(map(str, nix.version))


def through(nix: Nix) -> Callable[..., str]:
    return lambda *argv, cwd=None: nix.inside(*argv, cwd=cwd).stdout
