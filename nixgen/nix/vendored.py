"""The folder nix/nixgen of a project: the Nix library, copied, so that evaluating a project needs nothing else.

The library is two files there: ``library`` has all modules, ``programs`` the texts of what is no Nix. They have no
suffix: formatters and linters leave them alone. The folder is nixgen's own; a file in it that does not say so in its
first line was put there by somebody else, and is neither overwritten nor removed without being told to.
"""

from __future__ import annotations

import fnmatch
import hashlib
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path

from nixgen import resources
from nixgen.bases.model import BaseKind
from nixgen.machine import files
from nixgen.nix import templates
from nixgen.nix.nixtext import NixText, nix_attr, to_nix

FOLDER = "nix/nixgen"
BASE = f"{FOLDER}/base.nix"
NAMES = tuple(
    f"{FOLDER}/{name}" for name in ("base.nix", "default.nix", "flake.nix", "library", "outputs.nix", "programs")
)
LISTINGS = (f"{FOLDER}/files", f"{FOLDER}/MANIFEST")
"""What older versions wrote, one file for each of the library's: the names of these. The second is the older one."""
_TARBALLS = f"{FOLDER}/bootstrap/busybox-*.tar.xz"
_HEADER = "# Written by nixgen; do not edit. To write it again: nixgen generate\n"
_ENTRIES = {"default.nix", "flake.nix", "outputs.nix"}
_IMPORT = re.compile(r"\bimport (\.\.?/[\w./-]+\.nix)")


def contents(kind: BaseKind, base_nix: str, tarballs: Mapping[str, bytes]) -> dict[str, bytes]:
    """The folder's files by their path in the project, sorted.

    ``tarballs`` are the bootstrap files by their path in the project. The library's flake.nix is the input of a
    project on the debian base; others do without.
    """
    parts = resources.library()
    nix = {path: data.decode() for path, data in parts.items() if path.endswith(".nix")}
    programs, places = _texts({path: data for path, data in parts.items() if path not in nix})
    modules = {path: text for path, text in nix.items() if path not in _ENTRIES} | {"texts.nix": places}
    library = _library(modules).encode()
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in (("library", library), ("programs", programs))}
    default = templates.render("library.nix.j2", digests=digests)
    found = {BASE: base_nix.encode(), f"{FOLDER}/default.nix": default.encode(), **tarballs}
    found |= {f"{FOLDER}/programs": programs, f"{FOLDER}/library": library}
    for name in ("flake.nix", "outputs.nix") if kind == "debian" else ("outputs.nix",):
        found[f"{FOLDER}/{name}"] = (_HEADER + _joined(nix[name], name, modules, "(import ./library)")).encode()
    return dict(sorted(found.items()))


def _texts(texts: Mapping[str, bytes]) -> tuple[bytes, str]:
    """What is no Nix, as one text; and texts.nix, which says where in it each begins and how long it is, in bytes."""
    whole = f"{_HEADER}# The programs of the builders, and what they install.\n".encode()
    folders: dict[str, dict[str, NixText]] = {}
    for path, text in texts.items():
        whole += f"\n# ----- {path}\n".encode()
        folder, _, name = path.rpartition("/")
        place = NixText(f"text {len(whole)} {len(text)}")
        folders.setdefault(posixpath.basename(folder) or "data", {})[name] = place
        whole += text
    lines = "".join(f"  {name} = {to_nix(places)};\n" for name, places in folders.items())
    read = "let whole = builtins.readFile ./programs; text = start: length: builtins.substring start length whole; in"
    return whole, f"{read}\n{{\n{lines}}}\n"


def _library(modules: Mapping[str, str]) -> str:
    """All modules as one: a set of them by name, in which each finds the others."""
    joined = "".join(f"\n{nix_attr(path)} =\n{_joined(modules[path], path, modules, 'nixgen')};\n" for path in modules)
    return f"{_HEADER}# The Nix library, one module after another.\nlet nixgen = {{\n{joined}\n}}; in nixgen\n"


def _joined(text: str, path: str, modules: Mapping[str, str], whole: str) -> str:
    """A module's text, with other modules taken from ``whole`` instead of files."""

    def taken(found: re.Match[str]) -> str:
        name = posixpath.normpath(posixpath.join(posixpath.dirname(path), found[1]))
        return f"{whole}.{nix_attr(name)}" if name in modules else found[0]

    return _IMPORT.sub(taken, text)


def present(root: Path) -> set[str]:
    """The files that are in the folder now, but for what editors, tools and systems leave in any folder."""
    folder = root / FOLDER
    found = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file() or path.is_symlink()}
    return {f"{FOLDER}/{path.as_posix()}" for path in found if not any(map(_is_cache, path.parts))}


def _is_cache(name: str) -> bool:
    return name.startswith(".") or name.endswith(("~", files.TEMPORARY)) or name in {"__pycache__", "Thumbs.db"}


def ours(root: Path) -> set[str]:
    """Those that nixgen wrote: what says so, what an older version listed, and the tarballs of ``nixgen lock``."""
    found = {name for name in present(root) if fnmatch.fnmatchcase(name, _TARBALLS)}
    found |= {name for name in NAMES if not name.endswith(".nix")}  # that nobody else calls so
    found |= {name for name in NAMES if files.written_by_nixgen(files.read(root, name) or b"")}
    for listing in LISTINGS:
        data = files.read(root, listing) or b""
        if files.written_by_nixgen(data):
            lines = data.decode(errors="replace").splitlines()
            found |= {listing, *(f"{FOLDER}/{line}" for line in lines if line and not line.startswith("#"))}
    return found
