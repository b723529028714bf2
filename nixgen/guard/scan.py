"""What is there: the names in a tree beside the expected ones."""

from __future__ import annotations

import os
import stat as modes
from bisect import bisect_left
from typing import NamedTuple

from .model import File, Tree
from .report import Found
from .words import shown


class Entry(NamedTuple):
    """An expected file that is there: where its path leads, and what identifies it."""

    tree: Tree
    file: File
    path: str
    target: str
    identity: tuple[int, ...]


def stores() -> tuple[str, ...]:
    """The folder of the Nix store, as it is called and where that leads."""
    store = (os.environ.get("NIX_STORE_DIR") or "/nix/store").rstrip("/")
    return tuple(dict.fromkeys((store, os.path.realpath(store))))


class Scan:
    """Compares the names in a tree with the expected ones; what is expected and there goes to ``entries``."""

    def __init__(self, tree: Tree, store: tuple[str, ...]) -> None:
        self.entries: list[Entry] = []
        self.findings: list[Found] = []
        self._tree = tree
        self._root = os.path.realpath(tree.folder)
        self._allowed = (self._root, *store)
        self._expected = {file.path: file for file in tree.files}
        self._paths = sorted(self._expected)
        self._seen: set[str] = set()
        self._closed: set[str] = set()  # folders that cannot be looked into: told once, not for each file in them
        self._blobs: dict[str, str] = {}

    def run(self) -> None:
        """Walks the tree; only folders that hold expected files are entered, so that links cannot make it endless."""
        above = os.path.realpath(self._tree.above) if self._tree.above else "/"
        if not _inside(self._root, (above, *self._allowed[1:])):
            self._note(
                ".", "link", f"leads out of {shown(self._tree.above)} and not into the store: {shown(self._root)}"
            )
            return
        pending = [("", self._root)]
        while pending:
            below, folder = pending.pop()
            try:
                with os.scandir(folder) as listing:
                    items = list(listing)
            except OSError as error:
                self._note(
                    below or ".", "missing" if isinstance(error, FileNotFoundError) else "unreadable", why(error)
                )
                self._closed.add(below)
                continue
            inner = (self._item(item, f"{below}/{item.name}" if below else item.name, below, folder) for item in items)
            pending.extend(filter(None, inner))
        told = {path for folder in self._closed for path in self._below(folder)}
        for path in self._expected.keys() - self._seen - told:
            self._note(path, "missing", "is missing")
        used = {entry.target for entry in self.entries}
        for target, path in self._blobs.items():
            if target not in used:
                self._note(path, "extra", "is extra")

    def _item(self, item: os.DirEntry[str], path: str, below: str, folder: str) -> tuple[str, str] | None:
        """Sorts one name; the folder to enter, where it is one, as its path in the tree and where it leads."""
        is_file = path in self._expected
        is_folder = not is_file and (path == self._tree.blobs or bool(self._below(path, most=1)))
        self._seen.add(path)
        if not (is_file or is_folder) and not (self._tree.blobs and below == self._tree.blobs):
            self._note(path, "extra", "is extra: a folder" if item.is_dir(follow_symlinks=False) else "is extra")
            return None
        link = item.is_symlink()
        try:
            target = _followed(item.path, self._allowed[1:]) if link else f"{folder}/{item.name}"
            there = item.stat()
        except OSError as error:
            self._note(
                path, "link" if link else "unreadable", "is a link that leads to nothing" if link else why(error)
            )
            self._closed.add(path)
            return None
        said = f"is {kind_of(there.st_mode)}, not a {'folder' if is_folder else 'file'}"
        if link and not _inside(target, self._allowed):
            self._note(path, "link", f"is a link that leads out of the folder and not into the store: {shown(target)}")
        elif is_folder and modes.S_ISDIR(there.st_mode):
            return path, target
        elif is_file and modes.S_ISREG(there.st_mode):
            self.entries.append(Entry(self._tree, self._expected[path], item.path, target, identity(there)))
        elif is_file or is_folder:
            self._note(path, "kind", said)
        else:
            self._blobs[target] = path
        if is_folder:
            self._closed.add(path)
        return None

    def _below(self, folder: str, most: int | None = None) -> list[str]:
        """The expected paths in a folder, or the first of them; all for the tree's own, which is ""."""
        if not folder:
            return self._paths
        start = bisect_left(self._paths, f"{folder}/")
        end = bisect_left(self._paths, f"{folder}0", start)  # 0 is what comes after /
        return self._paths[start : end if most is None else min(end, start + most)]

    def _note(self, path: str, problem: str, said: str) -> None:
        self.findings.append(Found(self._tree.name, path, problem, said))


def _inside(target: str, places: tuple[str, ...]) -> bool:
    """Whether a path is one of these places, or in one."""
    return any(target == place or target.startswith(f"{place.rstrip('/')}/") for place in places)


def _followed(link: str, stores: tuple[str, ...]) -> str:
    """Where a link leads in the end. Most lead straight to a file of the store, which takes a quarter of the time."""
    target = os.readlink(link)
    place, _, name = target.rpartition("/")
    if place in stores and name not in {"", ".", ".."} and not modes.S_ISLNK(os.lstat(target).st_mode):
        return f"{stores[-1]}/{name}"
    return os.path.realpath(link, strict=True)


def identity(there: os.stat_result) -> tuple[int, ...]:
    """What is another one when the file is, or when it was written to."""
    return (there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns, there.st_ctime_ns)


def kind_of(mode: int) -> str:
    """What lies there, in words."""
    kinds = ((modes.S_ISDIR, "a folder"), (modes.S_ISFIFO, "a FIFO"), (modes.S_ISSOCK, "a socket"))
    return next((word for test, word in kinds if test(mode)), "a device" if not modes.S_ISREG(mode) else "a file")


def why(error: OSError) -> str:
    """What an error of the system says of a file, in words."""
    return "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror or error}"
