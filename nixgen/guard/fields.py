"""The fields of nixgen.lock and of the expected files' JSON. What is wrong is a BadInput that tells the place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .model import BadInput, File
from .words import shown

DIGITS = frozenset("0123456789abcdef")
_PATH_MAX = 4096  # bytes, of Linux; macOS has less


def path_problem(path: str) -> str:
    """Why a path from a lock or manifest cannot be that of a file in a tree; empty where it can."""
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        return "is not UTF-8"
    if size >= _PATH_MAX:
        return f"is longer than {_PATH_MAX - 1} bytes"
    if "\0" in path:
        return "has a zero byte in it"
    if path.startswith("/"):
        return "is absolute"
    if any(part in {"", ".", ".."} for part in path.split("/")):
        return "has an empty part, . or .. in it"
    return ""


def files_of(table: Mapping[str, Any], where: str) -> tuple[File, ...]:
    """The files that a table lists, sorted; each path once, and none of them both a file and a folder."""
    files: dict[str, File] = {}
    for index, item in enumerate(list_of(table, "files", where)):
        at = f"{where}: files[{index}]"
        entry = table_of(item, at)
        path, size, sha256 = entry.get("path"), entry.get("size"), entry.get("sha256")
        if not isinstance(path, str):
            raise BadInput(f"{at}: path is not a text")
        if problem := path_problem(path):
            raise BadInput(f"{at}: the path {shown(path[:_PATH_MAX])} {problem}")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise BadInput(f"{at}: size is not a number of bytes")
        if not isinstance(sha256, str) or len(sha256) != 64 or not DIGITS.issuperset(sha256):  # noqa: PLR2004
            raise BadInput(f"{at}: sha256 is not 64 hexadecimal digits in lower case")
        if path in files:
            raise BadInput(f"{at}: the path {shown(path)} is there twice")
        files[path] = File(path, size, sha256)
    if clash := _clash(files):
        raise BadInput(f"{where}: files: {shown(clash)} is a file and a folder")
    return tuple(sorted(files.values()))


def _clash(paths: Iterable[str]) -> str:
    """A path that is also a folder of others; empty where there is none."""
    last = "/"
    for path in sorted(paths, key=lambda path: path.replace("/", "\0")):  # what is in a folder comes right behind it
        if path.startswith(f"{last}/"):
            return last
        last = path
    return ""


def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, for json.loads: by itself the last of two values would win."""
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key is there twice in one object")
    return table


def table_of(value: object, where: str) -> Mapping[str, Any]:
    """The value, which must be an object."""
    if not isinstance(value, dict):
        raise BadInput(f"{where}: is not an object")
    return value


def closed(table: Mapping[str, Any], known: set[str], where: str) -> None:
    """Refuses a table with other keys than the known ones."""
    if unknown := sorted(table.keys() - known):
        raise BadInput(f"{where}: {shown(unknown[0])} is not a known key; known: {', '.join(sorted(known))}")


def list_of(table: Mapping[str, Any], key: str, where: str) -> list[Any]:
    """The value of a key, which must be a list."""
    value = table.get(key)
    if not isinstance(value, list):
        raise BadInput(f"{where}: {key} is not a list")
    return value


def text_of(table: Mapping[str, Any], key: str, where: str) -> str:
    """The value of a key, which must be a text that is not empty."""
    value = table.get(key)
    if not isinstance(value, str) or not value or "\0" in value:
        raise BadInput(f"{where}: {key} is not a text")
    return value
