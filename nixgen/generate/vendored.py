"""The folder nix/nixgen of a project: the Nix library, copied, so that evaluating a project needs nothing else.

The folder is nixgen's own. Its MANIFEST lists what nixgen wrote there; a file that is not listed was put there by
somebody else and is neither overwritten nor removed without being told to.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from pathlib import Path

from nixgen import resources
from nixgen.bases.model import BaseKind
from nixgen.machine import files

FOLDER = "nix/nixgen"
MANIFEST = f"{FOLDER}/MANIFEST"
_TARBALLS = f"{FOLDER}/bootstrap/busybox-*.tar.xz"
_HEADER = (
    "# Written by nixgen; this folder belongs to it. To write it again: nixgen generate\n"
    "# The files that nixgen wrote here, this one aside:\n"
)


def contents(kind: BaseKind, base_nix: str, tarballs: Mapping[str, bytes]) -> dict[str, bytes]:
    """The folder's files by their path in the project, the MANIFEST first.

    ``tarballs`` are the bootstrap files by their path in the project. The library's flake.nix is the input of a
    project on the debian base; others do without.
    """
    found = {f"{FOLDER}/base.nix": base_nix.encode(), **tarballs}
    for path, data in resources.library().items():
        if kind == "debian" or path != "flake.nix":
            found[f"{FOLDER}/{path}"] = data
    listing = _HEADER + "".join(f"{path.removeprefix(FOLDER + '/')}\n" for path in sorted(found))
    return {MANIFEST: listing.encode(), **dict(sorted(found.items()))}


def present(root: Path) -> set[str]:
    """The files that are in the folder now, but for caches and what an interrupted write left behind."""
    folder = root / FOLDER
    names = {path.relative_to(root).as_posix() for path in folder.rglob("*") if path.is_file() or path.is_symlink()}
    return {name for name in names if "/__pycache__/" not in name and not name.endswith(files.TEMPORARY)}


def ours(root: Path) -> set[str]:
    """Those that nixgen wrote: what the MANIFEST lists, and the tarballs of ``nixgen lock``."""
    data = files.read(root, MANIFEST) or b""
    listed = {MANIFEST} if files.written_by_nixgen(data) else set()
    if listed:
        lines = data.decode(errors="replace").splitlines()
        listed |= {f"{FOLDER}/{line}" for line in lines if line and not line.startswith("#")}
    return listed | {name for name in present(root) if fnmatch.fnmatchcase(name, _TARBALLS)}
