"""Files in the Nix store, at the path that their fixed-output derivation has, so that Nix never fetches them again.

A flat fixed-output path depends on the name and the SHA-256 alone (Nix manual, "Store path specification"): what
``nix-store --add-fixed sha256 FILE`` adds is what a derivation with this name and hash would have fetched.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from nixgen.errors import MachineError
from nixgen.machine import folders, process
from nixgen.nix import base32

if TYPE_CHECKING:
    from nixgen.artifacts.model import PinnedArchive

_UNFIT = re.compile(r"[^a-zA-Z0-9+._?=-]+")
_LONGEST = 200  # Nix takes 211 characters, and appends to a name at times
_ABANDONED = 14 * 24 * 3600  # seconds


@dataclass(frozen=True, slots=True)
class Found:
    """A file that was read whole: where it lies for now (None: it was not kept), its SHA-256 and its size."""

    path: Path | None
    sha256: str
    size: int


class Holder(Protocol):
    """What keeps files that were fetched: the Nix store, or a folder."""

    def find(self, files: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Path]:
        """Where files are that are already held, by their (name, SHA-256)."""

    def add(self, files: Sequence[tuple[Path, str, str]]) -> list[Path]:
        """Takes files over (path, name, SHA-256, which was checked) and says where each is now, in the same order."""

    def scratch(self) -> Path:
        """A folder for files on their way, on a disk with room."""


@dataclass(frozen=True, slots=True)
class Store:
    """The machine's Nix store. ``directory`` is its name in paths ("/nix/store")."""

    program: str = "nix-store"
    directory: str = "/nix/store"

    @classmethod
    def here(cls) -> Store | None:
        """The store of this machine; None where there is no Nix."""
        program = shutil.which("nix-store")
        if program is None:
            return None
        return cls(program, os.environ.get("NIX_STORE_DIR") or os.environ.get("NIX_STORE") or "/nix/store")

    def path(self, name: str, sha256: str) -> Path:
        """The store path of a flat file with this name (:func:`store_name`) and hash."""
        return Path(self.place(name, sha256))

    def place(self, name: str, sha256: str) -> str:
        """The same as text, for thousands of files."""
        return f"{self.directory}/{_path_hash(self.directory, name, sha256)}-{name}"

    def find(self, files: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Path]:
        """Which of the (name, SHA-256) are valid paths, as Nix's database has it: being on the disk proves nothing."""
        paths = {file: self.path(*file) for file in files}
        invalid: set[str] = set()
        for some in process.batches(sorted(set(map(str, paths.values())))):
            command = (self.program, "--check-validity", "--print-invalid", *some)
            result = process.run(command, check=False)
            if result.code != 0:
                raise process.failure(result)
            invalid.update(result.out.split())
        return {file: path for file, path in paths.items() if str(path) not in invalid}

    def add(self, files: Sequence[tuple[Path, str, str]]) -> list[Path]:
        """Adds files as fixed-output paths; the files are removed. Raises MachineError when Nix hashes other bytes."""
        places: list[Path] = []
        for some in process.batches(files):
            places += self._add(some)
        return places

    def scratch(self) -> Path:
        """See :meth:`Holder.scratch`. What nobody has come back for in two weeks is removed."""
        folder = cache_folder()
        with contextlib.suppress(OSError):
            for path in folder.iterdir():
                if path.is_file() and time.time() - path.stat().st_mtime > _ABANDONED:
                    path.unlink()
        return folder

    def _add(self, files: Sequence[tuple[Path, str, str]]) -> list[Path]:
        # The name in the store is the file's own; files of the same name are put into folders of their own.
        with _beside(files[0][0]) as folder:
            named = []
            seen: Counter[str] = Counter()
            for path, name, _ in files:
                named.append(folder / str(seen[name]) / name)
                seen[name] += 1
                _move(path, named[-1])
            result = process.run((self.program, "--add-fixed", "sha256", *map(str, named)))
        places = [self.path(name, sha256) for _, name, sha256 in files]
        given = result.out.split()
        wrong = [name for (_, name, _), place, got in zip(files, places, given, strict=False) if str(place) != got]
        if wrong or len(given) != len(files):
            raise MachineError.of(
                wrong[0] if wrong else self.program, "changed on its way into the store", "run the command again"
            )
        return places


@dataclass(frozen=True, slots=True)
class Folder:
    """A plain folder of files by their SHA-256, for machines without Nix. What is there was checked when it came."""

    folder: Path

    def find(self, files: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Path]:
        """See :meth:`Holder.find`."""
        return {file: place for file in files if (place := self.folder / file[1]).is_file()}

    def add(self, files: Sequence[tuple[Path, str, str]]) -> list[Path]:
        """See :meth:`Holder.add`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for path, _, sha256 in files:
            _move(path, self.folder / sha256)
        return [self.folder / sha256 for _, _, sha256 in files]

    def scratch(self) -> Path:
        """See :meth:`Holder.scratch`."""
        return self.folder


def store_name(path: str) -> str:
    """The name in the store of a file: the last part of its path, with what Nix does not take as ``_``.

    Runs of other characters than letters, digits and ``+._?=-`` become one ``_``, a dot in front gets one before it,
    and of a long name the first 200 characters stay. nix/artifacts.nix has the same rule.
    """
    name = _UNFIT.sub("_", path.rpartition("/")[2])
    return (f"_{name}" if name.startswith(".") else name)[:_LONGEST]


def archive_name(archive: PinnedArchive) -> str:
    """The name in the store of an archive: by its address or path; ``archive`` where it has neither."""
    if archive.url is not None:
        return store_name(re.split("[?#]", archive.url)[0])
    return store_name(archive.local or "archive")


def cache_folder() -> Path:
    """Where downloads lie until they are whole: $XDG_CACHE_HOME/nixgen/downloads, else below ~/.cache."""
    return folders.cache("downloads")


def _path_hash(directory: str, name: str, sha256: str) -> str:
    inner = hashlib.sha256(f"fixed:out:sha256:{sha256}:".encode()).hexdigest()
    return base32.path_hash(f"output:out:sha256:{inner}:{directory}:{name}")


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    try:
        with tempfile.TemporaryDirectory(prefix="adding-", dir=path.parent) as made:
            yield Path(made)
    except OSError as error:
        raise MachineError.of(str(path.parent), f"cannot be written: {error.strerror}") from None


def _move(path: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, target)
    except OSError as error:
        raise MachineError.of(str(target.parent), f"cannot be written: {error.strerror}") from None
