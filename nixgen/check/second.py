"""The bytes that a store path was expected to have, got from elsewhere or built again; the store is not changed.

Other stores are asked first: one that the user names, and those that Nix takes binaries from. Only a store that says
that it has just the expected hash is read. Else the path is built again: beside itself where Nix's database agrees
with the disk (``--check``), in a scratch store where the disk has changed, since what was built is no longer there to
compare with.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nixgen.check.leftovers import remove
from nixgen.check.model import Difference, FileDifference, Recipe
from nixgen.check.rebuild import rebuild_all
from nixgen.console import console
from nixgen.errors import NixgenError
from nixgen.nix import nar

if TYPE_CHECKING:
    from nixgen.nix.tools import Nix, PathInfo

_HASTE = ("--option", "connect-timeout", "5", "--option", "download-attempts", "1")


@dataclass(frozen=True, slots=True)
class Other:
    """The other bytes of a path: where they lie (None: they cannot be had), and a clause on how they were got.

    ``built`` is what building again beside the path gave, where that was done.
    """

    path: Path | None = None
    note: str = ""
    built: Difference | None = None

    @property
    def files(self) -> tuple[FileDifference, ...]:
        """The files that differ between two builds here."""
        return self.built.files if self.built is not None else ()


@dataclass(slots=True)
class Second:
    """Finds other bytes; what it finds is removed when it is closed."""

    nix: Nix
    copy: Nix | None
    folder: Path
    stores: list[Nix] | None = field(default=None)

    @classmethod
    @contextlib.contextmanager
    def open(cls, nix: Nix, copy: Nix | None) -> Iterator[Second]:
        """With a folder for the bytes, which is removed at the end. ``copy`` is a store to ask first."""
        folder = Path(tempfile.mkdtemp(prefix="nixgen-second-"))
        try:
            yield cls(nix, copy, folder)
        finally:
            remove(folder)

    def bytes(self, info: PathInfo, expected: str, disk: str) -> Other:
        """The bytes of a path with the NAR hash ``expected``; those on the disk have the hash ``disk``."""
        for store in self._elsewhere():
            if (place := self._copied(store, info.path, expected)) is not None:
                return Other(place, f"the expected bytes are from {store.store}")
        if info.deriver is None or not self._known(info.deriver):
            return Other(note="the expected bytes are not available: no recipe for them is in the store")
        if info.nar_hash == disk:
            return self._rebuilt(info, info.deriver)
        return self._in_scratch(info, info.deriver, expected)

    def _elsewhere(self) -> list[Nix]:
        if self.stores is None:
            self.stores = [self.copy] if self.copy is not None else []
            self.stores += [replace(self.nix, store=url, options=(*self.nix.options, *_HASTE)) for url in self._urls()]
        return self.stores

    def _urls(self) -> list[str]:
        """The stores that Nix takes binaries from."""
        try:
            return [str(url) for url in self.nix.settings()["substituters"]]
        except (NixgenError, KeyError, TypeError):
            return []

    def _copied(self, store: Nix, path: str, expected: str) -> Path | None:
        """The path out of another store, if that has it with the expected hash; None where it does not."""
        try:
            info = store.infos([path]).get(path)
            if info is None or info.nar_hash != expected:
                return None
            place = self._place(path)
            self._restore(store, path, place)
            return place if nar.hash_path(place) == expected else None
        except (NixgenError, OSError, subprocess.CalledProcessError) as error:
            console.detail(f"{store.store} does not give {path}: {error}")
            return None

    def _restore(self, store: Nix, path: str, place: Path) -> None:
        command = self.nix.command("nix-store", "--restore", str(place))
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdin is not None  # noqa: S101 -- a pipe was asked for
            for chunk in store.dump(path):
                process.stdin.write(chunk)
            process.stdin.close()
            if process.wait() != 0:
                raise subprocess.CalledProcessError(process.returncode, command)

    def _place(self, path: str) -> Path:
        folder = self.folder / "copies"
        folder.mkdir(exist_ok=True)
        place = folder / Path(path).name
        remove(place)
        return place

    def _known(self, drv: str) -> bool:
        return drv in self.nix.infos([drv])

    def _rebuilt(self, info: PathInfo, drv: str) -> Other:
        """Builds again beside the path: other bytes say more than the expected ones, which are not here."""
        name = Path(info.path).name
        try:
            (result,) = rebuild_all(self.nix, {name: Recipe(drv, info.path)}, lambda *_: None)
        except NixgenError as error:
            return Other(note=f"it could not be built again: {error.problems[0].what}")
        if result.difference is not None:
            note = "building it again gives different bytes each time, so its build is not deterministic; "
            note += "the files are those that differ between two builds here"
            return Other(note=note, built=result.difference)
        if result.verdict.verdict == "reproduced":
            note = (
                "building it again here gives these bytes again, so those that were expected are from another machine"
            )
            return Other(note=f"{note} or other settings, or were never built")
        return Other(note=f"it could not be built again: {result.verdict.why}")

    def _in_scratch(self, info: PathInfo, drv: str, expected: str) -> Other:
        """Builds in a store of its own, from copies of what the recipe needs."""
        folder = self.folder / "store"
        folder.mkdir(exist_ok=True)
        scratch = replace(self.nix, store=str(folder), builders="")
        try:
            needed = self._inputs(drv)
            self.nix.run("nix", "copy", "--no-check-sigs", "--to", str(folder), "--derivation", drv)
            if needed:
                self.nix.run("nix", "copy", "--no-check-sigs", "--to", str(folder), *needed)
            scratch.run("nix-store", "--realise", "--option", "substitute", "false", drv)
            place = scratch.physical(info.path)
            if place is None:
                return Other(note="the expected bytes are not available")
            if nar.hash_path(place) == expected:
                return Other(place, "the expected bytes were built again, in a scratch store")
            return Other(
                place, "built again in a scratch store, it has different bytes again: the files are compared with these"
            )
        except NixgenError as error:
            last = error.problems[0].what.splitlines()[-1]
            return Other(note=f"the expected bytes are not available: {last}")

    def _inputs(self, drv: str) -> list[str]:
        """The outputs and sources that a derivation is built from, as far as the store has them."""
        direct = self.nix.run("nix-store", "--query", "--references", drv).out.split()
        recipes = [path for path in direct if path.endswith(".drv")]
        outputs = self.nix.run("nix-store", "--query", "--outputs", *recipes).out.split() if recipes else []
        return sorted(self.nix.infos([*outputs, *(path for path in direct if not path.endswith(".drv"))]))
