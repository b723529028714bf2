"""The hashes that uv.lock lacks: some indexes give none, so the file is read once and its SHA-256 pinned."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from nixgen.errors import MachineError, NixgenError, UserError
from nixgen.machine import download
from nixgen.resolve.model import FileHash, Resolution

_AT_ONCE = 4


def without_hash(resolutions: Iterable[Resolution]) -> tuple[str, ...]:
    """The addresses of the wheels that were chosen, for any target, and that uv.lock gives no SHA-256 for; sorted."""
    return tuple(
        sorted(
            {
                package.url
                for resolution in resolutions
                for package in resolution.packages
                if package.kind == "wheel" and package.url and not package.sha256
            }
        )
    )


def hash_urls(urls: Iterable[str], done: Callable[[FileHash], object] = hash) -> tuple[FileHash, ...]:
    """Read each file, some at a time, and give its hash and size, sorted by address.

    ``done`` is called after each one, from any thread. Nothing is kept on disk. Raises UserError or MachineError with
    all files that could not be read.
    """

    def one(url: str) -> FileHash | NixgenError:
        try:
            with download.open_url(url) as stream:
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
