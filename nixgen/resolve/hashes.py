"""The hashes that uv.lock lacks: some indexes give none, so the file is read once and its SHA-256 pinned."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote

from nixgen.errors import MachineError, NixgenError, Problem, UserError
from nixgen.machine import download
from nixgen.project import absent
from nixgen.resolve.model import FILES, LOCAL, FileHash, Resolution, local_path

_AT_ONCE = 4


def without_hash(resolutions: Iterable[Resolution]) -> tuple[str, ...]:
    """The addresses of the files that were chosen, for any target, and that uv.lock gives no SHA-256 for; sorted."""
    return tuple(
        sorted(
            {
                package.address
                for resolution in resolutions
                for package in resolution.packages
                if package.kind in FILES and package.address and not package.sha256
            }
        )
    )


def is_local(address: str) -> bool:
    """Whether an address is that of a file in the project."""
    return local_path(address) is not None


def hash_local(root: Path, address: str) -> FileHash:
    """The hash and size of a file in the project. Raises UserError when it is no file, or lies outside."""
    name = unquote(address.removeprefix(LOCAL))
    place = (root / name).resolve()
    if not place.is_relative_to(root):
        raise UserError.of(name, "is a link out of the project", "put the file itself in the place of the link")
    if not place.is_file():
        what = "is not a file" if place.exists() else "is missing"
        mend = absent.hint(root, name) or "bring it back, or: uv lock"
        raise UserError.of(name, f"{what}, and uv.lock says that a file is there", mend)
    with place.open("rb") as stream:
        sha256, size = download.digest(stream)
    return FileHash(address, sha256, size)


def changed(root: Path, resolutions: Iterable[Resolution]) -> list[Problem]:
    """The files in the project that are no longer those that uv.lock or nixgen.lock pin.

    One that is missing is a problem of its package.
    """
    pinned = {
        package.address: package.sha256
        for resolution in resolutions
        for package in resolution.packages
        if package.path and package.address and package.kind in FILES and package.sha256
        if (root / package.path).exists()
    }
    problems: list[Problem] = []
    for address, sha256 in sorted(pinned.items()):
        try:
            if hash_local(root, address).sha256 != sha256:
                mend = "restore it, or pin this one: uv lock && nixgen sync"
                problems.append(Problem(unquote(address.removeprefix(LOCAL)), "changed after it was pinned", mend))
        except UserError as error:
            problems += error.problems
    return problems


def hash_urls(
    urls: Iterable[str],
    done: Callable[[FileHash], object] = hash,
    *,
    root: Path = Path(),
    logins: Callable[[str], str | None] | None = None,
) -> tuple[FileHash, ...]:
    """Read each file, some at a time, and give its hash and size, sorted by address; ``root`` is the project.

    ``logins`` are as in :class:`nixgen.machine.download.Client`.
    ``done`` is called after each one, from any thread. Nothing is kept on disk. Raises UserError or MachineError with
    all files that could not be read.
    """

    def one(url: str) -> FileHash | NixgenError:
        try:
            if is_local(url):
                return hash_local(root, url)
            with download.open_url(url, logins) as stream:
                sha256, size = download.digest(stream)
        except NixgenError as error:
            return error
        found = FileHash(url, sha256, size)
        done(found)
        return found

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        results = list(pool.map(one, sorted(set(urls))))
    problems = [problem for result in results if isinstance(result, NixgenError) for problem in result.problems]
    if problems:
        mine = any(isinstance(result, UserError) for result in results)
        raise (UserError if mine else MachineError)(dict.fromkeys(problems))
    return tuple(result for result in results if isinstance(result, FileHash))
