"""An archive filled, read again and cleared: files and NARs by their SHA-256, wherever it lies."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from nixgen import console
from nixgen.archive.sources import FOLDER, Source
from nixgen.errors import BuildFailed, Finding, MachineError, NixgenError, Problem, UserError
from nixgen.guard.hashing import processors
from nixgen.machine import folders, scratch
from nixgen.nix.progress import shown
from nixgen.nix.tools import Nix
from nixgen.registry.files import Files

LARGEST = 64 << 30
"""Bytes that are read of a file whose size no lock has: a server may send without end."""

_NONE = f"{FOLDER}/{'0' * 64}"
"""A file that no archive has."""
_AT_ONCE = 16  # questions to a server
_DIGITS = frozenset("0123456789abcdef")
_LENGTH = 64
_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did: sources that it copied, with their bytes, and how many were there."""

    copied: tuple[Source, ...]
    size: int
    there: int


@dataclass(frozen=True, slots=True)
class Verified:
    """What was read: sources that are whole, and their bytes; ``problems`` are of those that are not."""

    whole: int
    size: int
    problems: tuple[Problem, ...]


def absent(files: Files, sources: Iterable[Source]) -> list[Source]:
    """Those that an archive does not have, in their order; a hash that several have once.

    Raises MachineError for a server that has whatever it is asked for.
    """
    asked = list({one.sha256: one for one in sources}.values())
    there = _each(lambda one: files.exists(one.place), asked)
    if any(there) and files.exists(_NONE):
        mend = "check the address: it may be a page to log in, or one for what is not found"
        raise MachineError.of(files.where, "says of every file that it is there", mend)
    return [one for one, found in zip(asked, there, strict=True) if not found]


def push(nix: Nix, files: Files, sources: Sequence[Source]) -> Pushed:
    """Copies what an archive does not have, each file once its bytes have the hash that they must have.

    What the store lacks is fetched first. All is copied that can be had. Raises NixgenError with every problem
    afterwards: BuildFailed for what cannot be fetched, Finding for a store path that is not what it was.
    """
    with console.step(f"asking {files.where} for {len(sources)} files"):
        missing = absent(files, sources)
    errors: list[NixgenError] = []
    with nix.roots() as keep:
        _fetch(nix, missing, keep, errors)
        held = nix.infos(one.out for one in missing)
        here = [one for one in missing if one.out in held]
        if not errors:  # else Nix has named them, each with why
            lost = [one for one in missing if one.out not in held]
            errors += [UserError(map(_lost, lost))] if lost else []
        with console.step(f"copying {len(here)} files to {files.where}"):
            done = _each(lambda one: _copied(nix, files, one), here, processors())
    problems = [found for found in done if isinstance(found, Problem)]
    errors += [Finding(problems)] if problems else []
    sizes = {one: size for one, size in zip(here, done, strict=True) if isinstance(size, int)}
    if errors:
        raise type(errors[0])(problem for error in errors for problem in error.problems)
    there = len({one.sha256 for one in sources}) - len(missing)
    return Pushed(tuple(sizes), sum(sizes.values()), there)


def _fetch(nix: Nix, missing: Sequence[Source], keep: Path, errors: list[NixgenError]) -> None:
    wanted = [one.drv for one in missing if not one.given]
    if not wanted:
        return
    try:
        nix.realise(wanted, shown("fetching"), keep)
    except (BuildFailed, MachineError) as error:
        errors.append(error)


def _lost(one: Source) -> Problem:
    return Problem(one.name, "is not in the store, and no address leads to it", "nixgen model fetch; nixgen data fetch")


def _copied(nix: Nix, files: Files, one: Source) -> int | Problem:
    """The bytes that were copied, or what is wrong with the store's."""
    place = nix.physical(one.out)
    if place is None:
        return Problem(one.out, f"lies in a store that cannot be read from here: {nix.store}", "use the machine's own")
    cache = folders.cache("archive")
    try:
        with scratch.folder(cache) as made:
            if one.tree:
                place, found = made / "nar", hashlib.sha256()
                with place.open("wb") as file:
                    for piece in nix.dump(one.out):
                        found.update(piece)
                        file.write(piece)
                sha256 = found.hexdigest()
            else:
                with place.open("rb") as file:
                    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            if sha256 != one.sha256:
                mend = f"bring it back: nix-store --repair-path {one.out}"
                return Problem(one.out, "is not what Nix fetched: it was not copied", mend)
            files.upload(one.place, place)
            return place.stat().st_size
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            mend = "free some room, or set XDG_CACHE_HOME to another disk"
            raise MachineError.of(str(cache), f"cannot be written: {error.strerror}", mend) from None
        raise MachineError.of(str(error.filename or place), f"cannot be copied: {error.strerror}") from None


def verify(files: Files, names: Mapping[str, str], sizes: Mapping[str, int]) -> Verified:
    """Reads files again: hexadecimal SHA-256 → whose it is. ``sizes`` are those that locks have, by the same."""

    def read(sha256: str) -> int | Problem:
        whose = names[sha256] or sha256
        with files.stream(f"{FOLDER}/{sha256}") as pieces:
            if pieces is None:
                return Problem(whose, f"is not in {files.where}", "nixgen archive push")
            found = hashed(pieces, sizes.get(sha256, LARGEST))
        if found[0] == sha256:
            return found[1]
        mend = "remove it, and copy it anew: nixgen archive push"
        return Problem(f"{files.where}/{FOLDER}/{sha256}", f"holds other bytes than its name says ({whose})", mend)

    done = _each(read, list(names), processors())
    problems = tuple(found for found in done if isinstance(found, Problem))
    sizes_found = [found for found in done if isinstance(found, int)]
    return Verified(len(sizes_found), sum(sizes_found), problems)


def hashed(pieces: Iterator[bytes], limit: int, write: Callable[[bytes], object] = len) -> tuple[str, int]:
    """The SHA-256 and size of a stream; it ends, "" being its hash, at the first byte behind ``limit``."""
    found, size = hashlib.sha256(), 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            return "", size
        found.update(piece)
        write(piece)
    return found.hexdigest(), size


def listed(files: Files) -> list[str]:
    """Every SHA-256 that an archive has a file of, sorted. Raises UserError where none can tell."""
    return sorted(name for name, folder in files.names(FOLDER).items() if not folder and _is_hash(name))


def unneeded(files: Files, needed: Collection[str]) -> list[str]:
    """What an archive has beyond the SHA-256 that are needed. Raises UserError where none can tell."""
    return [name for name in listed(files) if name not in needed]


def remove(files: Files, names: Iterable[str]) -> None:
    """Removes files by their SHA-256. Raises MachineError for those that are there still."""
    places = [f"{FOLDER}/{name}" for name in names]
    for place in places:
        files.remove(place)
    left = [place for place, there in zip(places, _each(files.exists, places), strict=True) if there]
    if left:
        mend = "check who may write there, and that it is no link"
        raise MachineError(Problem(f"{files.where}/{place}", "could not be removed", mend) for place in left)


def _is_hash(name: str) -> bool:
    return len(name) == _LENGTH and _DIGITS.issuperset(name)


def _each(do: Callable[[_T], _R], items: Sequence[_T], workers: int = _AT_ONCE) -> list[_R]:
    """The results in order; what one raises is raised when all have ended."""
    with ThreadPoolExecutor(max(1, min(workers, len(items)))) as pool:
        return list(pool.map(do, items))
