"""The folder nix/nixgen of a project: the Nix library, copied, so that evaluating a project needs nothing else.

The folder is nixgen's own. ``files`` in it lists what nixgen wrote there; a file that is not listed was put there by
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
LISTING = f"{FOLDER}/files"
_LISTINGS = (
    LISTING,
    f"{FOLDER}/MANIFEST",
)  # its name until the usual .gitignore of Python projects was found to have it
_LEFT_ALONE = f"{FOLDER}/ruff.toml"
_TARBALLS = f"{FOLDER}/bootstrap/busybox-*.tar.xz"
_HEADER = (
    "# Written by nixgen; this folder belongs to it. To write it again: nixgen generate\n"
    "# The files that nixgen wrote here, this one aside:\n"
)
_RUFF = b'# Written by nixgen: the user\'s formatter leaves this folder alone.\nexclude = ["*"]\n'


def contents(kind: BaseKind, base_nix: str, tarballs: Mapping[str, bytes]) -> dict[str, bytes]:
    """The folder's files by their path in the project, their list first.

    ``tarballs`` are the bootstrap files by their path in the project. The library's flake.nix is the input of a
    project on the debian base; others do without.
    """
    found = {f"{FOLDER}/base.nix": base_nix.encode(), _LEFT_ALONE: _RUFF, **tarballs}
    for path, data in resources.library().items():
        if kind == "debian" or path != "flake.nix":
            found[f"{FOLDER}/{path}"] = data
    listing = _HEADER + "".join(f"{path.removeprefix(FOLDER + '/')}\n" for path in sorted(found))
    return {LISTING: listing.encode(), **dict(sorted(found.items()))}


def present(root: Path) -> set[str]:
    """The files that are in the folder now, but for what editors, tools and systems leave in any folder."""
    folder = root / FOLDER
    found = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file() or path.is_symlink()}
    return {f"{FOLDER}/{path.as_posix()}" for path in found if not any(map(_is_cache, path.parts))}


def _is_cache(name: str) -> bool:
    return name.startswith(".") or name.endswith(("~", files.TEMPORARY)) or name in {"__pycache__", "Thumbs.db"}


def ours(root: Path) -> set[str]:
    """Those that nixgen wrote: what their list names, and the tarballs of ``nixgen lock``."""
    found = {name for name in present(root) if fnmatch.fnmatchcase(name, _TARBALLS)}
    for listing in _LISTINGS:
        data = files.read(root, listing) or b""
        if files.written_by_nixgen(data):
            lines = data.decode(errors="replace").splitlines()
            found |= {listing, *(f"{FOLDER}/{line}" for line in lines if line and not line.startswith("#"))}
    return found
