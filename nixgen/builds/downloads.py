"""Files that need a login, in the Nix store: fetched with the user's own, so that Nix, which has none, need not.

The path is that of nix/fetch.nix's derivation: it depends on the name and the SHA-256 alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from nixgen.artifacts.http import transfer
from nixgen.artifacts.http.client import Client
from nixgen.artifacts.store import Store, store_name
from nixgen.builds.model import Builds, BuildWheel
from nixgen.console import console
from nixgen.errors import MachineError, NixgenError, UserError
from nixgen.resolve.logins import Logins
from nixgen.resolve.model import FILES, Package, Resolution

_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file of the package ``owner``."""

    owner: str
    file: str
    url: str
    sha256: str
    size: int | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Its name in the store, and its SHA-256."""
        return store_name(self.file), self.sha256


def of_packages(packages: Iterable[Package]) -> list[Wanted]:
    """The files of packages; those that lie in the project, and those whose hash is not known yet, are left out."""
    return [
        Wanted(one.name, one.file or "", one.url, one.sha256, one.size)
        for one in packages
        if one.kind in FILES and one.url and one.sha256
    ]


def of_wheels(wheels: Iterable[BuildWheel]) -> list[Wanted]:
    """The files of what builds require."""
    return [Wanted(one.name, one.file, one.url, one.sha256, one.size) for one in wheels]


def restore(resolutions: Iterable[Resolution], builds: Builds, system: str, logins: Logins) -> None:
    """Puts all that is pinned for a system, needs a login and is not in the store there. Raises as ``fetch``."""
    here = [one for one in builds.sources if system in one.requires]
    names = {name for one in here for name in one.requires[system]}
    packages = (package for one in resolutions if one.target.system == system for package in one.packages)
    sources = [Wanted(one.name, one.file, one.source, one.sha256, one.size) for one in here if one.file]
    wheels = of_wheels(wheel for wheel in builds.wheels if wheel.file in names)
    fetch([*of_packages(packages), *sources, *wheels], logins)


def fetch(files: Iterable[Wanted], logins: Logins) -> None:
    """Puts those of the files that the user has a login for into the store, each once; nothing where there is no Nix.

    Raises UserError and MachineError with all that cannot be had.
    """
    private = {one.key: one for one in files if logins.known(one.url)}
    store = Store.here() if private else None
    if store is None:
        return
    missing = sorted(private.keys() - store.find(private).keys())
    if not missing:
        return
    scratch = store.scratch()
    scratch.mkdir(parents=True, exist_ok=True)
    client = Client(logins=logins)

    def one(wanted: Wanted) -> Path | NixgenError | None:
        try:
            asked = transfer.Wanted(wanted.url, wanted.file, wanted.owner, wanted.sha256, wanted.size)
            return transfer.read(asked, client, scratch).path
        except NixgenError as error:
            return error

    try:
        with console.step(f"Fetching {len(missing)} files with your login"), ThreadPoolExecutor(_AT_ONCE) as pool:
            found = dict(zip(missing, pool.map(one, (private[key] for key in missing)), strict=True))
    finally:
        client.close()
    store.add([(path, *key) for key, path in found.items() if isinstance(path, Path)])
    errors = [result for result in found.values() if isinstance(result, NixgenError)]
    if errors:
        kind = UserError if any(isinstance(error, UserError) for error in errors) else MachineError
        raise kind(dict.fromkeys(problem for error in errors for problem in error.problems))
