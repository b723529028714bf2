"""The plan of a fleet: what many projects are built from, each derivation once. Its JSON form has the version 1.

Derivations go by the name of their output, "<hash>-<name>"; sizes are bytes, costs seconds of processor time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from nixgen.errors import NixgenError, Problem, UserError
from nixgen.formats.strictjson import Table, document
from nixgen.machine import files

VERSION = 1
Stage = Literal["base", "wheels", "environments"]
STAGES: tuple[Stage, ...] = get_args(Stage)
"""What is built first comes first: nothing of a stage needs anything of a later one."""

_NAME = r"[0-9abcdfghijklmnpqrsvwxyz]{32}-[A-Za-z0-9+._?=-]{1,211}"
_LINE = r"[^\x00-\x1f\x7f\ud800-\udfff]+"
_LONGEST = 1e9  # seconds that a derivation may cost
_MEND = "write it again: nixgen plan --json FOLDER > FILE"


@dataclass(frozen=True, slots=True)
class Unit:
    """A derivation to build. ``key`` is what its shard follows from, so it stays where it is when others come.

    ``drv`` is the name of its file, ``features`` what Nix asks of the machine (``requiredSystemFeatures``).
    """

    name: str
    drv: str
    stage: Stage
    system: str
    key: str
    size: int
    cost: float
    features: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Member:
    """A project for one system: its folder, and the names of its units: those of the base, wheels, and ``root``."""

    folder: str
    system: str
    root: str
    base: tuple[str, ...]
    wheels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The units by name, and the projects that need them. ``errors`` are of projects that cannot be planned."""

    units: Mapping[str, Unit]
    members: tuple[Member, ...]
    errors: tuple[NixgenError, ...] = ()

    def json(self) -> str:
        """The plan as JSON: the same projects, the same bytes."""
        units = {
            name: {
                "drv": unit.drv,
                "stage": unit.stage,
                "system": unit.system,
                "features": list(unit.features),
                "key": unit.key,
                "size": unit.size,
                "cost": unit.cost,
            }
            for name, unit in sorted(self.units.items())
        }
        members = [
            {
                "folder": one.folder,
                "system": one.system,
                "root": one.root,
                "base": list(one.base),
                "wheels": list(one.wheels),
            }
            for one in self.members
        ]
        problems = [
            {"where": one.where, "what": one.what, "hint": one.mend} for error in self.errors for one in error.problems
        ]
        table = {"version": VERSION, "derivations": units, "projects": members, "problems": problems}
        return json.dumps(table, indent=1, sort_keys=True)

    def error(self) -> NixgenError | None:
        """What is wrong with projects, all at once; of several kinds, a mistake in the input."""
        kinds = {type(error) for error in self.errors}
        kind = kinds.pop() if len(kinds) == 1 else UserError
        return kind(problem for error in self.errors for problem in error.problems) if self.errors else None


def read(path: Path) -> Plan:
    """The plan in a file. Raises UserError with all that is wrong with it."""
    try:
        text = files.contents(path).decode("utf-8")
    except (FileNotFoundError, IsADirectoryError):
        raise UserError.of(str(path), "there is no such file", _MEND) from None
    except UnicodeDecodeError:
        raise UserError.of(str(path), "is not UTF-8 text", _MEND) from None
    except OSError as error:
        raise files.unreadable(str(path), error) from None
    return parse(text, str(path))


def parse(text: str, name: str = "the plan") -> Plan:
    """The plan that this text is. Raises UserError with all that is wrong with it."""
    problems: list[Problem] = []
    top = Table(document(text, name, "a plan", _MEND), name, "", problems, _MEND)
    top.closed("version", "derivations", "projects", "problems")
    if top.integer("version") != VERSION:
        top.problem("version", f"is not {VERSION}, the one that this nixgen knows")
    table = top.table("derivations")
    units = {key: _unit(key, table.table(key)) for key in table.keys()}  # noqa: SIM118 -- a Table is no mapping
    members = tuple(map(_member, top.tables("projects")))
    problems += [
        Problem(name, f"{one.folder} needs {unit}, which is not among its derivations", _MEND)
        for one in members
        for unit in (*one.base, *one.wheels, one.root)
        if unit not in units
    ]
    needed = {unit for one in members for unit in (*one.base, *one.wheels, one.root)}
    for key in units:
        if not re.fullmatch(_NAME, key):
            table.problem(key, "is no name of a store path")
        elif key not in needed:
            table.problem(key, "is of no project")
    if problems:
        raise UserError(dict.fromkeys(problems))
    return Plan(units, members)


def _unit(name: str, table: Table) -> Unit:
    table.closed("drv", "stage", "system", "features", "key", "size", "cost")
    cost = table.number("cost")
    if not 0 <= cost <= _LONGEST:
        table.problem("cost", "is no number of seconds")
        cost = 0
    return Unit(
        name=name,
        drv=table.text("drv", _NAME + r"\.drv"),
        stage=cast("Stage", table.choice("stage", STAGES)),
        system=table.text("system", _LINE),
        key=table.text("key", _LINE),
        size=table.integer("size"),
        cost=cost,
        features=tuple(table.texts("features", _LINE)),
    )


def _member(table: Table) -> Member:
    table.closed("folder", "system", "root", "base", "wheels")
    return Member(
        folder=table.text("folder", _LINE),
        system=table.text("system", _LINE),
        root=table.text("root", _NAME),
        base=tuple(table.texts("base", _NAME)),
        wheels=tuple(table.texts("wheels", _NAME)),
    )


def total(units: Iterable[Unit]) -> float:
    """The seconds of processor time that units cost together."""
    return sum(unit.cost for unit in units)
