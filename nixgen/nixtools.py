"""The machine's Nix, as ``nixgen check`` and ``nixgen cache`` use it: the only wrapper round its programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from nixgen.nixlog import State
    from nixgen.run import Result

from typing import Protocol


class Progress(Protocol):
    """Who is told how a build goes. ``nixgen.nixprogress.shown("building")`` is the one for people."""

    def __call__(self, state: State) -> None:
        """Called after every event of the log; must be quick."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A derivation and its output, as full store paths."""

    drv: str
    out: str


@dataclass(frozen=True, slots=True)
class PathInfo:
    """What Nix's database says of a store path; nothing of it is read from the path itself.

    ``path`` and ``references`` (sorted, the path itself among them where it refers to itself) are full store paths;
    ``nar_hash`` is SRI text; ``nar_size`` bytes; ``ultimate`` says that it was built here.
    """

    path: str
    nar_hash: str
    nar_size: int
    references: tuple[str, ...]
    deriver: str | None
    ultimate: bool
    signatures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Nix:
    """The machine's Nix, maybe on another store.

    ``store`` is a store's address, "" for the default; ``builders`` what ``--builders`` says, None for the machine's
    own; ``options`` are further words for every command.
    """

    store: str = ""
    builders: str | None = None
    options: tuple[str, ...] = ()

    @classmethod
    def here(cls, store: str = "", builders: str | None = None, options: Iterable[str] = ()) -> Nix:
        """The machine's Nix. Raises MachineError, which says how to install it, when there is none."""
        raise NotImplementedError

    def version(self) -> tuple[int, ...]:
        """(2, 8, 0)."""
        raise NotImplementedError

    def command(
        self, program: Literal["nix", "nix-store", "nix-instantiate", "nix-build"], *words: str | Path
    ) -> list[str]:
        """The whole command line of ``run``, for who starts it otherwise (the rebuilds) or shows it to a person."""
        raise NotImplementedError

    def run(self, program: Literal["nix", "nix-store", "nix-instantiate", "nix-build"], *words: str | Path) -> Result:
        """Runs a program to its end with this store, builders and options. Raises MachineError when it fails."""
        raise NotImplementedError

    def recipes(self, root: Path, system: str) -> dict[str, Recipe]:
        """What the project's default.nix offers as ``recipes``; the .drv files are in the store then.

        Raises Stale when a lock file changed after default.nix was generated, UserError for other refusals.
        """
        raise NotImplementedError

    def recipe(self, root: Path, system: str, attribute: str) -> Recipe | None:
        """One attribute of default.nix ("imports", "smoke"), None where it is null or absent."""
        raise NotImplementedError

    def realise(self, drvs: Sequence[str], progress: Progress | None = None, keep: Path | None = None) -> None:
        """Builds or fetches the outputs. ``keep`` is a folder for links that keep them from garbage collection.

        Raises BuildFailed, one problem for each derivation that failed, with the tail of its log; MachineError where
        nothing but downloads failed for want of a network.
        """
        raise NotImplementedError

    @contextmanager
    def roots(self) -> Iterator[Path]:
        """A temporary folder for ``realise(keep=…)``: what is linked in it is not collected until the block ends."""
        raise NotImplementedError
        yield

    def closure(self, paths: Iterable[str]) -> dict[str, PathInfo]:
        """What Nix's database says of the paths and all that they refer to, by full path, sorted."""
        raise NotImplementedError

    def infos(self, paths: Iterable[str]) -> dict[str, PathInfo]:
        """The same of these paths alone; those that are not valid are left out."""
        raise NotImplementedError

    def outputs_of(self, drv: str) -> dict[str, str]:
        """The outputs of a derivation in the store: name → full path."""
        raise NotImplementedError

    def drv_show(self, drv: str) -> Mapping[str, Any]:
        """A derivation in one shape whatever the version: name, system, builder, args, env, outputs, inputDrvs, …"""
        raise NotImplementedError

    def physical(self, path: str) -> Path | None:
        """Where a store path's bytes lie on this machine; None for a store that is elsewhere."""
        raise NotImplementedError

    def dump(self, path: str) -> Iterator[bytes]:
        """The NAR of a path as the store gives it, in chunks: for stores that are elsewhere."""
        raise NotImplementedError
