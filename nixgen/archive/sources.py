"""Every file that a project is made from, out of Nix's own derivations: whatever is fetched by a hash.

What lies in the project itself is not among them, nor what nixpkgs builds its own programs from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from nixgen.nix.json import Derivation, hexadecimal
from nixgen.nix.tools import Nix

Kind = Literal["package", "deb", "crate", "git", "artifact", "file"]

FOLDER = "sha256"
"""The folder that Nix's setting ``hashed-mirrors`` reads (nix.conf(5)): a file by its hexadecimal SHA-256."""

_FETCHED = "builtin:fetchurl"
_PACKAGES = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz")


@dataclass(frozen=True, slots=True)
class Source:
    """One file, or a tree, that a project is made from.

    ``sha256`` is hexadecimal: of the file, or of the tree's NAR where ``tree`` says so; ``out`` and ``drv`` are full
    store paths. ``url`` is where it is fetched from, "" where Nix cannot fetch it. ``given`` says that a person put it
    into the store: no address leads to it.
    """

    name: str
    sha256: str
    out: str
    drv: str
    url: str
    kind: Kind
    tree: bool = False
    given: bool = False

    @property
    def label(self) -> str:
        """Its name for people: that of a package's file, which tells its version and architecture."""
        return unquote(self.url.rpartition("/")[2]) if self.kind == "deb" else self.name

    @property
    def place(self) -> str:
        """Its file in an archive."""
        return f"{FOLDER}/{self.sha256}"


def of_project(nix: Nix, root: Path, systems: Sequence[str], artifacts: Iterable[str] = ()) -> list[Source]:
    """The sources of a project for these systems, sorted by name; ``artifacts`` are the SHA-256 of models and data.

    Raises as :meth:`Nix.recipes` does.
    """
    with ThreadPoolExecutor(len(systems)) as pool:
        drvs = [recipes["root"].drv for recipes in pool.map(lambda system: nix.recipes(root, system), systems)]
    found = {one.out: one for one in of(nix, drvs, frozenset(artifacts))}
    return sorted(found.values(), key=lambda one: (one.name, one.label, one.sha256))


def of(nix: Nix, drvs: Sequence[str], artifacts: frozenset[str] = frozenset()) -> Iterator[Source]:
    """The sources that derivations are made from, in no order."""
    graph = nix.graph(drvs)
    waiting, seen = list(drvs), set(drvs)
    while waiting:
        drv = waiting.pop()
        one = graph[drv]
        if one.fixed is not None and "member" not in one.env:  # a file of an archive: the archive is kept
            yield _source(drv, one, artifacts)
        elif "stdenv" not in one.env:  # what nixpkgs builds is had from its own cache
            fresh = [other for other in one.drvs if other not in seen]
            seen.update(fresh)
            waiting += fresh


def _source(drv: str, one: Derivation, artifacts: frozenset[str]) -> Source:
    sha256 = hexadecimal(one.fixed or "")
    tree = one.env.get("outputHashMode") == "recursive"
    url = one.env.get("url", "").partition("#")[0]  # behind it is a word for people, who see what Nix cannot fetch
    fetched = one.builder == _FETCHED or tree
    if tree:
        url = next((word for word in one.args if "://" in word), "")
    kind = "artifact" if sha256 in artifacts else _kind(one.name, url, tree=tree)
    out = next(iter(one.outputs.values())).path
    return Source(one.name, sha256, out, drv, url, kind, tree, given=not fetched)


def _kind(name: str, url: str, *, tree: bool) -> Kind:
    if tree:
        return "git"
    path = url.partition("?")[0] or name
    ends: Mapping[str, Kind] = {".deb": "deb", ".crate": "crate", **dict.fromkeys(_PACKAGES, "package")}
    return next((kind for end, kind in ends.items() if path.endswith(end)), "file")
