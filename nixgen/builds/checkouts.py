"""Commits of git repositories in the Nix store: fetched with the machine's own git and its logins, pinned by NAR hash.

The path is that of nix/git.nix's derivation, so that Nix fetches none of them again.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from nixgen import resources
from nixgen.builds.model import Builds
from nixgen.console import console
from nixgen.errors import MachineError, NixgenError, Problem, UserError
from nixgen.machine import folders, process
from nixgen.nix import nar
from nixgen.nix.tools import Nix
from nixgen.resolve.model import Git, Package

_AT_ONCE = 4
_KNOWN = 3  # the exit code of git.py when it says itself what is wrong
_NAME = "source"
_EARLIEST = 315_532_800  # 1980, where ZIP's times begin


@dataclass(frozen=True, slots=True)
class Checkout:
    """A commit in the store: the NAR hash (SRI) of its files, and when it was made, as SOURCE_DATE_EPOCH."""

    nar_hash: str
    time: int


def fetched(packages: Iterable[Package]) -> dict[Git, Checkout]:
    """Fetches the commits of those packages that are from git, each once, and puts them into the store.

    Raises UserError with all that cannot be had, and MachineError where there is no git or no Nix.
    """
    packages = [package for package in packages if package.git is not None]
    owners: dict[tuple[str, str], str] = {}
    for package in packages:
        assert package.git is not None  # noqa: S101 -- the others are not in the list
        owners.setdefault((package.git.url, package.git.commit), package.name)
    if not owners:
        return {}
    if shutil.which("git") is None:
        raise MachineError.of("", "there is no program git, which packages from git need", "install git")
    nix = Nix.here()

    def one(place: tuple[str, str]) -> Checkout | NixgenError:
        try:
            return _fetch(nix, *place, owners[place])
        except NixgenError as error:
            return error

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        results = dict(zip(owners, pool.map(one, owners), strict=True))
    errors = [result for result in results.values() if isinstance(result, NixgenError)]
    if errors:
        kind = UserError if any(isinstance(error, UserError) for error in errors) else MachineError
        raise kind(dict.fromkeys(problem for error in errors for problem in error.problems))
    return {
        package.git: result
        for package in packages
        if package.git is not None and isinstance(result := results[package.git.url, package.git.commit], Checkout)
    }


def restore(builds: Builds) -> None:
    """Puts pinned commits into the store that are not there. Raises as ``fetched``, and for one with other files."""
    pinned = {git: one for one in builds.sources if (git := Git.parse(one.source)) is not None}
    if not pinned or shutil.which("nix-store") is None:
        return
    there = Nix.here().infos(nar.source_path(one.nar_hash) for one in pinned.values())
    lacking = [git for git, one in pinned.items() if nar.source_path(one.nar_hash) not in there]
    found = fetched(Package(pinned[git].name, None, "vcs", git=git) for git in lacking)
    problems = [
        Problem(
            pinned[git].name,
            f"{git.url} at {git.commit} has other files than nixgen.lock pins ({pinned[git].nar_hash}): "
            f"{checkout.nar_hash}",
            "if you trust them: nixgen lock --upgrade",
        )
        for git, checkout in found.items()
        if checkout.nar_hash != pinned[git].nar_hash
    ]
    if problems:
        raise UserError(problems)


def _fetch(nix: Nix, url: str, commit: str, name: str) -> Checkout:
    program = resources.folder("nix") / "builders/git.py"
    scratch = folders.cache("downloads")
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="git-", dir=scratch) as made, console.step(f"Fetching {url} at {commit}"):
        folder = Path(made) / _NAME
        env = {**os.environ, "out": str(folder), "project": name}
        done = process.run([sys.executable, "-I", program, "git", url, commit], env=env, check=False)
        if done.code == _KNOWN:
            what, hint = done.err.strip().splitlines()[-2:]
            raise UserError.of(name, what, hint)
        if done.code != 0:
            raise process.failure(done)
        nar_hash = nar.hash_path(folder)
        place = nix.run("nix-store", "--add-fixed", "--recursive", "sha256", folder).out.strip()
    if place != nar.source_path(nar_hash):
        raise MachineError.of(name, "changed on its way into the store", "run the command again")
    return Checkout(nar_hash, max(int(done.out), _EARLIEST))
