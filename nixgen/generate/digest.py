"""The digests by which Nix tells that default.nix was generated from other files than those beside it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from nixgen import resources
from nixgen.errors import UserError
from nixgen.formats import toml
from nixgen.lock import logpins

_LINE = re.compile(r"\n[ \t]*(?:#[^\n]*)?")
_TOOL = re.compile(r"\[\[?tool\.([A-Za-z0-9_-]+)[\].]")


def of_bytes(data: bytes) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def of_script(data: bytes) -> str:
    """The digest of a script's metadata: its code may change."""
    _, head, after = b"".join((b"\n", data.replace(b"\r\n", b"\n"))).partition(b"\n# /// script\n")
    return of_bytes(after.partition(b"\n# ///\n")[0] if head else b"")


def of_lock(text: bytes) -> str:
    """The digest of nixgen.lock: of its content without the logs: neither form nor a push counts."""
    return of_bytes(canonical(text))


def of_pyproject(data: bytes) -> str:
    """The digest of what counts in a pyproject.toml: all but the tables of tools that say nothing about packages.

    It is one of text, less empty lines and comments, since no version of Nix reads all of TOML. Where the text does not
    tell the tables apart (one is named in a string, say), it is the whole file's, with "whole:" in front.
    """
    try:
        text = data.decode().replace("\r\n", "\n")
        pieces = [piece for piece in _LINE.split(f"\n{text}") if piece]
        counting = "".join(f"{line}\n" for line in _counting(pieces))
        lines = "\n".join(_counting(text.split("\n")))
        if _read(lines) == _read(text):
            return of_bytes(counting.encode())
    except ValueError:
        pass
    return f"whole:{of_bytes(data)}"


def _counting(lines: Iterable[str]) -> Iterator[str]:
    kept = True
    for line in lines:
        if line.lstrip(" \t").startswith("["):
            tool = _TOOL.match(line.lstrip(" \t"))
            kept = tool is None or tool[1] not in _other_tools()
        if kept:
            yield line


def _read(text: str) -> dict[str, Any]:
    """TOML without the tables of other tools. Raises ValueError."""
    found = toml.loads(text.removeprefix("\ufeff"))
    tool = found.get("tool")
    if isinstance(tool, dict):
        found["tool"] = {name: table for name, table in tool.items() if name not in _other_tools()}
    return {name: value for name, value in found.items() if name != "tool" or value}


@cache
def _other_tools() -> frozenset[str]:
    return frozenset(json.loads((resources.folder("nix") / "othertools.json").read_bytes()))


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def canonical(text: bytes) -> bytes:
    """nixgen.lock as the bytes that nix/json.nix gives for it.

    That is sorted keys, no white space, and of the characters only quotes, backslashes and controls escaped. The one
    difference between versions of Nix is how backspace and form feed are escaped: no lock may hold a control character.
    """
    document = json.loads(text)
    if isinstance(document, dict):
        for key in logpins.KEYS:  # what `nixgen cache` and `nixgen registry` note: nothing is made from it
            document.pop(key, None)
    try:
        return _json(document).encode()
    except UnicodeEncodeError:
        raise UserError.of(
            "nixgen.lock", "holds half a character (a lone surrogate)", "write it again: nixgen lock --upgrade"
        ) from None
