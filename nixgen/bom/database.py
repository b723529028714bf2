"""An advisory database: a folder or a zip of JSON files, as OSV exports them, here or behind an address.

Whoever made it is not trusted: a file has a largest size, all of them together do, and what is no JSON is a sentence.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from nixgen.bom.osv import Advisory, advisory
from nixgen.errors import MachineError, Problem, UserError
from nixgen.machine import download

_MEND = "get it again from where it comes from"
_SHOWN = 10  # files that are wrong


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is read: bytes of one advisory, of all of them, of a download; and how many files there may be."""

    file: int = 32 << 20
    whole: int = 8 << 30
    download: int = 2 << 30
    files: int = 2_000_000


LIMITS = Limits()


def advisories(place: str, limits: Limits = LIMITS) -> Iterator[Advisory]:
    """All advisories of a database that were not withdrawn.

    Raises UserError for files that are no advisories (all are told), and where it has none at all; MachineError for
    what cannot be read.
    """
    problems: list[Problem] = []
    count = size = 0
    for name, data in _files(place, limits):
        count, size = count + 1, size + len(data)
        if size > limits.whole or count > limits.files:
            what = f"has more than {limits.whole >> 20} MiB or {limits.files} files of advisories"
            raise UserError.of(place, what, "name a smaller one: the part of one ecosystem")
        try:
            found = _parsed(data)
        except ValueError as error:
            problems.append(Problem(f"{place}: {name}", str(error), _MEND))
        else:
            if found is not None:
                yield found
        if len(problems) >= _SHOWN:
            break
    if problems:
        raise UserError(problems)
    if not count:
        raise UserError.of(
            place, "has no advisory: no file whose name ends in .json", "name OSV's all.zip, unpacked or not"
        )


def _parsed(data: bytes) -> Advisory | None:
    """The advisory in a file. Raises ValueError with a sentence."""
    try:
        document = json.loads(data)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error.msg} (line {error.lineno})") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
    except ValueError:
        raise ValueError("has a number of thousands of digits") from None
    return advisory(document)


def _files(place: str, limits: Limits) -> Iterator[tuple[str, bytes]]:
    if "://" in place:
        with tempfile.TemporaryFile() as file:
            with download.open_url(place) as answer:
                try:
                    download.digest(answer, file.write, limits.download)
                except MachineError as error:
                    whole = (Problem(one.where or place, one.what, one.mend) for one in error.problems)
                    raise MachineError(whole) from None
            yield from _zipped(place, file, limits)
        return
    path = Path(place)
    if path.is_dir():
        yield from _unpacked(path, limits)
        return
    with _opened(path) as file:
        yield from _zipped(place, file, limits)


def _unpacked(folder: Path, limits: Limits) -> Iterator[tuple[str, bytes]]:
    """The files of a folder and of those in it; links to folders are not followed."""

    def refused(error: OSError) -> None:
        raise MachineError.of(str(error.filename), f"cannot be read: {error.strerror}") from None

    for top, folders, names in os.walk(folder, onerror=refused):
        folders.sort()
        for name in sorted(names):
            if name.endswith(".json"):
                path = Path(top, name)
                with _opened(path) as file:
                    yield str(path.relative_to(folder)), _read(file, str(path), limits)


def _zipped(place: str, file: IO[bytes], limits: Limits) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(file) as archive:
            members = [one for one in archive.infolist() if one.filename.endswith(".json")]
            if len(members) > limits.files:
                raise UserError.of(place, f"has more than {limits.files} files", _MEND)
            for member in members:
                if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                    raise UserError.of(f"{place}: {member.filename}", "is packed in a way that OSV does not use", _MEND)
                with archive.open(member) as opened:
                    yield member.filename, _read(opened, f"{place}: {member.filename}", limits)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError, zlib.error) as error:
        raise UserError.of(place, f"is no folder and no whole zip: {error}", _MEND) from None


def _read(file: IO[bytes], name: str, limits: Limits) -> bytes:
    data = file.read(limits.file + 1)
    if len(data) > limits.file:
        raise UserError.of(name, f"has more than {limits.file >> 20} MiB: no advisory has", _MEND)
    return data


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """A regular file: a FIFO would never end."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise UserError.of(str(path), "is not there", "name a folder or a zip of OSV's: docs/sbom.md") from None
    except OSError as error:
        raise MachineError.of(str(path), f"cannot be read: {error.strerror}") from None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UserError.of(str(path), "is no regular file", "name a folder or a zip of OSV's: docs/sbom.md")
        yield file
