"""Asks sources what they need to build: in Nix's sandbox, with the project's own base, by nixgen's own Nix library."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from nixgen.archive.taking import Archives, realise
from nixgen.builds import owners
from nixgen.builds.crates import Named
from nixgen.errors import MachineError, NixgenError, UserError
from nixgen.formats.strictjson import Table
from nixgen.nix import templates, vendored
from nixgen.nix.progress import shown
from nixgen.nix.tools import Nix

if TYPE_CHECKING:
    from nixgen.bases.model import Base
    from nixgen.nix.failures import Advise, Owner

_ASK = """{ folder, root, system }:
let ours = /. + (folder + "/nix/nixgen");
in (import (ours + "/library"))."asking.nix" {
  inherit system;
  root = /. + root;
  base = import (ours + "/base.nix");
} (builtins.fromJSON (builtins.readFile (/. + (folder + "/asked.json"))))"""

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Static:
    """What the files of a source say: its requirements (PEP 518), and its SOURCE_DATE_EPOCH.

    ``sources`` is where uv takes the requirements from, as JSON: its tables ``sources`` and ``index``; "" for none.
    ``crates`` are those of its Cargo.lock; ``compiled`` says whether anything in it may be there to be compiled.
    What cannot be pinned are ``git_crates``, and the crates of one without Cargo.lock (``unlocked``).
    """

    requires: tuple[str, ...]
    epoch: int
    version: str
    sources: str = ""
    crates: tuple[Named, ...] = ()
    compiled: bool = True
    git_crates: tuple[str, ...] = ()
    unlocked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Probe:
    """A way to ask; ``system`` is the one that sources are asked on.

    A source that cannot be asked does not keep others from being asked: its answer is None, and why is in ``errors``.
    """

    nix: Nix
    root: Path
    system: str
    python: str
    _folder: Path
    _keep: Path
    _advise: Advise
    _archives: Callable[[], Archives]
    _owners: Mapping[str, Owner] = field(default_factory=dict)
    errors: list[NixgenError] = field(default_factory=list)

    def static(self, rows: Sequence[Row]) -> list[Static | None]:
        """What the files of these sources say."""
        found: list[Static | None] = []
        for row, answer in zip(rows, self._answers("reading sources", "static", rows), strict=True):
            if answer is None:
                found.append(None)
                continue
            table = self._table(str(row["name"]), answer)
            version, sources = (table.text(key) for key in ("version", "sources"))
            crates = tuple(
                Named(*(one.text(key) for key in ("name", "version", "registry", "sha256")))
                for one in table.tables("crates")
            )
            compiled = table.flag("compiled")
            lacking = table.table("lacking")
            git, unlocked = lacking.texts("git"), lacking.texts("unlocked")
            said = Static(table.texts("requires"), table.integer("epoch"), version, sources, crates, compiled)
            found.append(replace(said, git_crates=git, unlocked=unlocked))
            self._raise(table)
        return found

    def dynamic(
        self, rows: Sequence[Row], builds: Sequence[Row], wheels: Sequence[Row]
    ) -> list[tuple[str, ...] | None]:
        """What the backends of these sources want besides (``get_requires_for_build_wheel``, PEP 517)."""
        found: list[tuple[str, ...] | None] = []
        answers = self._answers("asking build backends", "dynamic", rows, builds, wheels)
        for row, answer in zip(rows, answers, strict=True):
            if answer is None:
                found.append(None)
                continue
            table = self._table(str(row["name"]), answer)
            found.append(table.texts("requires"))
            self._raise(table)
        return found

    def dependencies(self, key: str, builds: Sequence[Row], wheels: Sequence[Row]) -> tuple[str, ...]:
        """What a build depends on when it is installed, once it is built."""
        from email.parser import HeaderParser

        (recipe,) = self._recipes("built", [key], builds, wheels)
        self._realise("building", [recipe], owners.of_rows((), (*builds, *wheels)))
        out = recipe["out"]
        place = self.nix.physical(out)
        if place is None:
            raise MachineError.of(out, "is in a store that cannot be read from this machine", "use a local store")
        for path in sorted(place.glob(f"lib/python{self.python}/site-packages/*.dist-info/METADATA")):
            if not path.resolve().is_relative_to(place.resolve()):
                continue
            message = HeaderParser().parsestr(path.read_text(encoding="utf-8", errors="replace"))
            return tuple(str(value) for value in message.get_all("Requires-Dist", ()))
        return ()

    def _answers(
        self, title: str, kind: str, rows: Sequence[Row], builds: Sequence[Row] = (), wheels: Sequence[Row] = ()
    ) -> list[str | None]:
        if not rows:
            return []
        recipes = self._recipes(kind, rows, builds, wheels)
        try:
            self._realise(title, recipes, owners.of_rows(rows, (*builds, *wheels)))
        except NixgenError as error:
            self.errors.append(error)
            places = [self.nix.physical(recipe["out"]) for recipe in recipes]
            there = [place is not None and place.exists() for place in places]
            return [self.nix.read(recipe["out"]) if one else None for recipe, one in zip(recipes, there, strict=True)]
        return [self.nix.read(recipe["out"]) for recipe in recipes]

    def _recipes(
        self, kind: str, rows: Sequence[object], builds: Sequence[Row], wheels: Sequence[Row]
    ) -> list[dict[str, str]]:
        asked = {kind: list(rows), "builds": list(builds), "wheels": list(wheels)}
        (self._folder / "asked.json").write_text(json.dumps(asked), encoding="utf-8")
        try:
            found = self.nix.evaluate(_ASK, folder=str(self._folder), root=str(self.root), system=self.system)
        except UserError as error:
            raise UserError(replace(one, where="nixgen lock") for one in error.problems) from None
        recipes: list[dict[str, str]] = found[kind]
        return recipes

    def _realise(self, title: str, recipes: Sequence[Mapping[str, str]], whose: Mapping[str, Owner]) -> None:
        drvs = sorted({recipe["drv"] for recipe in recipes})
        named, show = {**self._owners, **whose}, shown(title)
        realise(self.nix, drvs, show, self._keep, owners=named, advise=self._advise, archives=self._archives)

    def _table(self, name: str, text: str) -> Table:
        try:
            value: Any = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        return Table(value, f"{name}: its build requirements", "", [], "report it to the package's authors")

    def _raise(self, table: Table) -> None:
        if table.problems:
            raise UserError(table.problems)


@contextmanager
def opened(  # noqa: PLR0913, PLR0917 -- each is a part of the question
    root: Path,
    base: Base,
    tarballs: Mapping[str, bytes],
    systems: Sequence[str],
    system: str,
    advise: Advise,
    archives: Callable[[], Archives],
) -> Iterator[Probe]:
    """A way to ask, while the context is open: the Nix library in a folder of its own.

    ``advise`` says what to do about a build that fails, ``archives`` where else files are.

    Raises MachineError where there is no Nix.
    """
    nix = Nix.here()
    with TemporaryDirectory(prefix="nixgen-") as made, nix.roots() as keep:
        folder = Path(made).resolve()
        for path, data in vendored.contents(base.kind, templates.base_nix(base, systems, None), tarballs).items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        yield Probe(nix, root, system, base.python, folder, keep, advise, archives, owners.of_base(base))
