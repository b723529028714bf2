"""checksum.txt: the SHA-256 of each file of a version, as ``sha256sum -c`` reads it, and for the version itself.

A version's digest is the SHA-256 of this file, so the log's entry stands for every byte.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from nixgen.errors import UserError

_LINE = re.compile(r"([0-9a-f]{64})  ([^\n]+)")
LONGEST = 1 << 24  # bytes


class ChecksumError(ValueError):
    """A text is no checksum.txt. Its sentence begins with a verb."""


def check_path(path: str) -> str:
    """The path of a file in a version. Raises UserError for one that leads elsewhere or that ``sha256sum`` misreads."""
    pure = PurePosixPath(path)
    if not path.isprintable() or "\\" in path:
        raise UserError.of(ascii(path), "has a character that no published file may have", "rename it")
    if pure.is_absolute() or not pure.parts or ".." in pure.parts or str(pure) != path or path.startswith("."):
        raise UserError.of(path, "is no place in a published version", "name a file below the project's folder")
    return path


def dump(hashes: Mapping[str, str]) -> bytes:
    """The file: a line for each path, sorted; two blanks say that it is read as it is (coreutils, sha256sum)."""
    return "".join(f"{sha256}  {path}\n" for path, sha256 in sorted(hashes.items())).encode()


def parse(data: bytes) -> dict[str, str]:
    """Path → SHA-256. Raises ChecksumError."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ChecksumError("is not UTF-8 text") from None
    found: dict[str, str] = {}
    for line in text.splitlines():
        matched = _LINE.fullmatch(line)
        if matched is None:
            raise ChecksumError(f"has a line that is no checksum: {line[:80]!r}")
        try:
            found[check_path(matched[2])] = matched[1]
        except UserError as error:
            raise ChecksumError(f"names a file that no version has: {error.problems[0].where}") from None
    if dump(found) != data:
        raise ChecksumError("is not in the form that nixgen writes")
    return found


def digest(data: bytes) -> str:
    """A version's digest (hexadecimal SHA-256)."""
    return hashlib.sha256(data).hexdigest()
