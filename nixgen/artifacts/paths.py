"""Which paths the files of an artifact may have: they come from servers and archives, and are not trusted."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator

_LONGEST_NAME = 255  # bytes of a name, on every file system that Nix stores lie on
_LONGEST_PATH = 1024  # bytes; PATH_MAX of macOS


def path_problem(path: str) -> str | None:
    """What is wrong with the path of a file, None when it may be used.

    A path is relative, has forward slashes, and leads nowhere else: no ``.`` or ``..``, no empty part.
    """
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        return "is not UTF-8 text"
    parts = path.split("/")
    faults = (
        (not path, "is empty"),
        (path.startswith(("/", "~")) or path[1:3] in {":/", ":\\"}, "is not a relative path"),
        ("\\" in path, "has a backslash in it"),
        (any(unicodedata.category(character) == "Cc" for character in path), "has a control character in it"),
        (".." in parts, 'leads out of its folder with ".."'),
        ("" in parts or "." in parts, 'has an empty part or a "." in it'),
        (
            size > _LONGEST_PATH or any(len(part.encode()) > _LONGEST_NAME for part in parts),
            "is longer than file systems allow",
        ),
    )
    return next((what for wrong, what in faults if wrong), None)


def clashes(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Paths that cannot be beside each other, each with a sentence: twice there, differing only in case, or a folder.

    Case and Unicode normalization are ignored, as macOS ignores them: what is built there must be what is built here.
    """
    listed = Counter(paths)
    yield from ((path, "is there twice") for path, count in listed.items() if count > 1)
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for path in listed:
        other = files.setdefault(_folded(path), path)
        if other != path:
            yield path, f'differs from "{other}" only in the case or form of its letters'
        folder = path
        while "/" in folder:
            folder = folder.rpartition("/")[0]
            other = folders.setdefault(_folded(folder), folder)
            if other != folder:
                yield path, f'lies in a folder that differs from "{other}" only in the case or form of its letters'
                break
    for folder, spelled in folders.items():
        if folder in files:
            yield files[folder], f'is a file, and "{spelled}" is a folder'


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
