"""The files that differ between two store paths on the disk."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from mmap import ACCESS_READ, mmap
from pathlib import Path

from nixgen.check.explain.bytes import Bytes
from nixgen.check.explain.causes import bytes_at, causes, detail
from nixgen.check.model import FileChange, FileDifference

LOOKED_INTO = 100
"""In how many files causes are looked for; of others it is said that they differ."""

_KINDS = {stat.S_IFREG: "a file", stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link"}
_CHUNK = 1 << 20


def explain(expected: Path, found: Path, cores: int | None = None) -> tuple[FileDifference, ...]:
    """The files that differ between two store paths on the disk, by path, each with the causes that its bytes tell.

    What a NAR does not hold (times, owners, permissions but "executable") is not compared. ``cores`` is the number of
    cores that the build of ``found`` was given, where it is known. Raises OSError for what cannot be read.
    """
    differences = []
    looked_into = 0
    for path, change in _changes(os.fsencode(expected), os.fsencode(found), b""):
        one, other = (_join(os.fsencode(top), path) for top in (expected, found))
        name = os.fsdecode(path).encode("utf-8", "backslashreplace").decode()
        if change == "content" and looked_into < LOOKED_INTO:
            looked_into += 1
            differences.append(_content(name, one, other, cores))
        else:
            differences.append(FileDifference(name, change, _other(change, one, other)))
    return tuple(differences)


def _changes(expected: bytes, found: bytes, path: bytes) -> Iterator[tuple[bytes, FileChange]]:
    """What differs at a path and below it; names in the order of their bytes, as a NAR has them."""
    here, there = os.lstat(found), os.lstat(expected)
    if stat.S_IFMT(here.st_mode) != stat.S_IFMT(there.st_mode):
        yield path, "kind"
    elif stat.S_ISDIR(here.st_mode):
        now, before = set(os.listdir(found)), set(os.listdir(expected))  # noqa: PTH208 -- bytes
        for name in sorted(now | before):
            inner = _join(path, name)
            if name not in before:
                yield inner, "added"
            elif name not in now:
                yield inner, "removed"
            else:
                yield from _changes(_join(expected, name), _join(found, name), inner)
    elif stat.S_ISLNK(here.st_mode):
        if os.readlink(found) != os.readlink(expected):  # noqa: PTH115 -- bytes
            yield path, "link"
    else:
        if here.st_size != there.st_size or not _same(expected, found):
            yield path, "content"
        if (here.st_mode ^ there.st_mode) & stat.S_IXUSR:
            yield path, "mode"


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder and name else folder or name


def _same(expected: bytes, found: bytes) -> bool:
    with open(expected, "rb") as one, open(found, "rb") as other:  # noqa: PTH123 -- bytes
        while chunk := one.read(_CHUNK):
            if chunk != other.read(_CHUNK):
                return False
        return not other.read(1)


def _content(name: str, expected: bytes, found: bytes, cores: int | None) -> FileDifference:
    with ExitStack() as stack:
        before, now = (_mapped(stack, path) for path in (expected, found))
        said = causes(before, now, cores)
        told = detail(before, now)
        return FileDifference(name, "content", told if said else f"{told}: {bytes_at(before, now)}", said)


def _mapped(stack: ExitStack, path: bytes) -> Bytes:
    file = stack.enter_context(open(path, "rb"))  # noqa: PTH123, SIM115 -- bytes; the stack closes it
    return stack.enter_context(mmap(file.fileno(), 0, access=ACCESS_READ)) if os.fstat(file.fileno()).st_size else b""


def _other(change: FileChange, expected: bytes, found: bytes) -> str:
    """What there is to say of a difference that is not in the content."""
    if change == "link":
        return f"to {_target(found)}, to {_target(expected)} expected"
    if change == "kind":
        return f"{_kind(found)}, {_kind(expected)} expected"
    if change == "mode":
        return (
            "executable, not so expected"
            if os.lstat(found).st_mode & stat.S_IXUSR
            else "not executable, but expected to be"
        )
    if change == "content":
        return f"{os.lstat(found).st_size} bytes, {os.lstat(expected).st_size} expected"
    return _kind(found if change == "added" else expected)


def _target(link: bytes) -> str:
    return os.readlink(link).decode("utf-8", "backslashreplace")  # noqa: PTH115 -- bytes


def _kind(path: bytes) -> str:
    return _KINDS.get(stat.S_IFMT(os.lstat(path).st_mode), "neither file, folder nor link")
