"""``nixgen plan``: asks Nix what many projects are built from, many in one evaluation, and nothing is written.

An evaluation of one project takes tens of milliseconds, of which half is the start of Nix: some dozen are evaluated by
one process, as many processes as there are processors. What cannot be evaluated is found by halves.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

from nixgen import console
from nixgen.check import record
from nixgen.errors import MachineError, NixgenError, Problem, Stale, UserError
from nixgen.fleet.model import Member, Plan, Stage, Unit
from nixgen.guard.hashing import processors
from nixgen.machine import files
from nixgen.nix import failures, inputs
from nixgen.nix.tools import Nix

_AT_ONCE = 40  # projects of one evaluation: Nix frees no memory before its end
_MARK = "nixgen.lock"
_SIZE = re.compile(r'([^/"\n]+\.whl)"[^\n]*?\bsize = ([0-9]{1,15})\b')  # of a wheel in uv.lock, behind its address
_BESIDE = {"nix", "node_modules"}
_HASH = 33  # letters of a store path's hash and its hyphen

# What is thrown, like "uv.lock changed", is caught, and asked for again alone; other errors end an evaluation.
_ASK = """{ roots, system }:
let
  told = root:
    let
      project = import (/. + root) { inherit system; };
      named = project.environments or { };
      under = prefix: wheels:
        map (key: { name = "${prefix}wheels.${key}"; value = wheels.${key}; }) (builtins.attrNames wheels);
      wheels = builtins.listToAttrs (under "" project.wheels
        ++ builtins.concatMap (label: under "${label}." named.${label}.wheels) (builtins.attrNames named));
      features = one: one.requiredSystemFeatures or [ ];
      own = [ project.environment ] ++ builtins.attrValues (project.services or { })
        ++ map (one: one.environment) (builtins.attrValues named);
      found = {
        inherit (project) recipes;
        files = builtins.mapAttrs (_: one: one.file or "") wheels;
        features = builtins.mapAttrs (_: features) wheels // { root = builtins.concatMap features own; };
      };
    in
    builtins.tryEval (builtins.deepSeq found found);
in
map told (builtins.fromJSON roots)"""

# Seconds of processor time, measured on the debian base; only their ratios count, for even shards.
_START, _PER_BYTE = 0.1, 3e-8  # a wheel: to start, and to unpack, relink and compile
_SOURCE = 60.0  # what is built from its source, beside that
_BASE = 3.0
_ENVIRONMENT, _LINK = 0.2, 0.01  # an environment with its shell, and each wheel in it
_UNPACKED = 3.5  # times a wheel's file
_UNKNOWN = 1 << 20  # bytes of what no lock or record has a size of


def plan(folders: Iterable[Path], system: str) -> Plan:
    """What is built for all projects at and below these folders, for one system.

    Raises UserError where there is none. What is wrong with a project is in the plan; the others are planned.
    """
    names = list(dict.fromkeys(name for folder in folders for name in projects(folder)))
    with console.step(f"evaluating {len(names)} projects"):
        told = evaluated(Nix.here(), names, system, write=False)
        units: dict[str, Unit] = {}
        sound = {name: found for name in names if not isinstance(found := told[name], NixgenError)}
        members = tuple(_member(name, system, found, units) for name, found in sound.items())
    errors = tuple(found for found in told.values() if isinstance(found, NixgenError))
    return Plan(dict(sorted(units.items())), members, errors)


def projects(folder: Path) -> list[str]:
    """The folder, or all below it that have a nixgen.lock; sorted.

    Raises UserError where there is none, MachineError for a folder that cannot be read.
    """
    if not folder.is_dir():
        raise UserError.of(str(folder), "is not a folder", "name folders of projects: nixgen plan FOLDER")
    found = [
        _named(Path(where)) for where, inner, names in os.walk(folder, onerror=_unread) if _is_project(inner, names)
    ]
    if not found:
        raise UserError.of(str(folder), f"has no project: no {_MARK} in it, nor below", "set one up: nixgen init")
    if odd := [name for name in found if not name.isprintable()]:
        raise UserError.of(odd[0], "has characters in its name that a plan cannot have", "rename the folder")
    return sorted(found)


def _unread(error: OSError) -> NoReturn:
    mend = "make it readable, or name the folders of projects"
    raise MachineError.of(str(error.filename), f"cannot be read: {error.strerror}", mend)


def _is_project(inner: list[str], names: Sequence[str]) -> bool:
    """Whether the folder is one; what is below is looked at otherwise."""
    there = _MARK in names
    inner[:] = [] if there else sorted(name for name in inner if not name.startswith(".") and name not in _BESIDE)
    return there


def _named(folder: Path) -> str:
    """Relative to the current folder, where it is below: a plan is read on other machines."""
    return os.path.relpath(folder) if folder.resolve().is_relative_to(Path.cwd()) else str(folder.absolute())


def evaluated(nix: Nix, names: Sequence[str], system: str, *, write: bool) -> dict[str, Any]:
    """What the default.nix of each project tells, or the error that it ends with.

    With ``write`` its .drv files are in the store then.
    """
    size = max(1, min(_AT_ONCE, -(-len(names) // processors())))
    parts = [names[start : start + size] for start in range(0, len(names), size)]
    with ThreadPoolExecutor(processors()) as pool:
        found = pool.map(lambda some: dict(_some(nix, some, system, write=write)), parts)
        return {name: value for part in found for name, value in part.items()}


def _some(nix: Nix, names: Sequence[str], system: str, *, write: bool) -> Iterator[tuple[str, Any]]:
    sound = []
    for name in names:
        try:
            inputs.refuse_strange(Path(name))
            sound.append(name)
        except NixgenError as error:
            yield name, _of(name, error)
    if not sound:
        return
    try:
        roots = json.dumps([str(Path(name).resolve()) for name in sound])
        values = (nix.evaluate if write else nix.told)(_ASK, roots=roots, system=system)
    except ValueError:
        yield from ((name, Stale.of(f"{name}: default.nix", failures.STRANGE, failures.SYNC)) for name in sound)
    except NixgenError as error:
        if len(sound) == 1:
            yield sound[0], _of(sound[0], error)
            return
        half = len(sound) // 2
        yield from _some(nix, sound[:half], system, write=write)
        yield from _some(nix, sound[half:], system, write=write)
    else:
        for name, found in zip(sound, values, strict=True):
            yield name, found["value"] if found["success"] else _refusal(nix, name, system)


def _refusal(nix: Nix, name: str, system: str) -> NixgenError:
    """What a project says that refuses to be evaluated, in its own words."""
    try:
        nix.recipes(Path(name), system)
    except NixgenError as error:
        return _of(name, error)
    return UserError.of(f"{name}: default.nix", "cannot be evaluated", f"see why: nixgen check --project {name}")


def _of(name: str, error: NixgenError) -> NixgenError:
    """The same with the project's folder in front of each problem."""
    return type(error)(
        Problem(": ".join(filter(None, (name, one.where))), one.what, one.mend.replace("nixgen sync", _sync(name)))
        for one in error.problems
    )


def _sync(name: str) -> str:
    return f"nixgen sync --project {shlex.quote(name)}"


def _member(name: str, system: str, told: Mapping[str, Any], units: dict[str, Unit]) -> Member:
    """A project, whose units are added to those of all."""
    recipes = {str(key): (_base(one["out"]), _base(one["drv"])) for key, one in sorted(told["recipes"].items())}
    base = {key: found for key, found in recipes.items() if key.startswith("base.")}
    wheels = {key: found for key, found in recipes.items() if _is_wheel(key)}
    noted, packed = _noted(Path(name), system), _packed(Path(name))
    chain = next((base[key][0] for key in ("base.core", *base) if key in base), "")

    def add(found: tuple[str, str], stage: Stage, key: str, cost: float, size: int, feature: Iterable[str]) -> None:
        out, drv = found
        if out not in units:
            units[out] = Unit(out, drv, stage, system, key, size, round(cost, 3), tuple(sorted(set(feature))))

    for found in base.values():
        add(found, "base", chain, _BASE, noted.get(found[0], _UNKNOWN), ())
    for wheel, found in wheels.items():
        file = told["files"].get(wheel, "")
        size = noted.get(found[0]) or int(packed.get(file, 0) * _UNPACKED) or _UNKNOWN
        cost = _START + size * _PER_BYTE + (0 if file.endswith(".whl") else _SOURCE)
        add(found, "wheels", found[0], cost, size, told["features"].get(wheel, ()))
    root = recipes["root"]
    size = sum(noted.get(out, 0) for key, (out, _) in recipes.items() if key not in base and not _is_wheel(key))
    cost = _ENVIRONMENT + _LINK * len(wheels)
    add(root, "environments", name, cost, size or _UNKNOWN, told["features"]["root"])
    outs = [tuple(dict.fromkeys(found[0] for found in some.values())) for some in (base, wheels)]
    return Member(name, system, root[0], *outs)


def _is_wheel(key: str) -> bool:
    """Whether an output is an installed wheel: "wheels.numpy", and "docs.wheels.numpy" of an environment."""
    return key.startswith("wheels.") or ".wheels." in key


def _noted(root: Path, system: str) -> dict[str, int]:
    """The sizes of paths that the project's record has. A broken one is for `nixgen check` to tell."""
    try:
        table = json.loads(files.read(root, record.NAME) or b"{}")["systems"][system]["closure"]
        return {name: int(one["narSize"]) for name, one in table.items()}
    except (NixgenError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _packed(root: Path) -> dict[str, int]:
    """The sizes of the files of wheels by their names, as uv.lock has them."""
    try:
        text = (files.read(root, "uv.lock") or b"").decode("utf-8", "replace")
    except NixgenError:
        return {}
    return {name: int(size) for name, size in _SIZE.findall(text)}


def _base(path: str) -> str:
    return path.rpartition("/")[2]
