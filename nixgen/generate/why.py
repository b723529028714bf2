"""What ``nixgen why`` says: the ways by which a package of uv.lock is required, for people and for programs."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nixgen.errors import Problem, UserError
from nixgen.formats import jsontext
from nixgen.project.names import normalized
from nixgen.project.project import Project
from nixgen.resolve import graph
from nixgen.resolve.environments import views
from nixgen.resolve.model import Target

JSON_VERSION = 1
"""The version of the JSON's form: it grows when a key changes its meaning or goes."""

_NEAR = 3


@dataclass(frozen=True, slots=True)
class Way:
    """A path from the project to the package, and the systems that have it."""

    steps: tuple[graph.Step, ...]
    systems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A version of the package in uv.lock, the systems that it is installed for (none: for none), and the ways to it.

    Where it is installed for no system, the ways are those that some extra, group or other platform would have.
    """

    version: str | None
    systems: tuple[str, ...]
    ways: tuple[Way, ...]


@dataclass(frozen=True, slots=True)
class Why:
    """The answer for a package; ``near`` are names of uv.lock that are like its own, where that is not there.

    ``environment`` is the name of the one that this is of, "" for the default one; where that does not have the
    package, ``others`` are those that do ("" for the default one).
    """

    project: str
    package: str
    systems: tuple[str, ...]
    found: tuple[Found, ...]
    near: tuple[str, ...] = ()
    environment: str = ""
    others: tuple[str, ...] = ()

    @property
    def problem(self) -> Problem:
        """What is wrong where the package is not there."""
        mend = f"did you mean {' or '.join(self.near)}?" if self.near else "see which it has: nixgen show"
        return Problem("uv.lock", f"has no package {self.package}", mend)


def why(whole: Project, package: str, targets: Sequence[Target], environment: str = "") -> Why:
    """What pulls ``package`` in, for each target, into one of the project's environments.

    Raises UserError where the lock does not say what requires what.
    """
    project = whole.of(environment) if environment else whole
    if project.pylock is not None:
        mend = "ask the tool that made it"
        raise UserError.of(project.lock, "does not say what requires what: nixgen why reads uv.lock", mend)
    read, name = graph.read(project), normalized(package)
    systems = tuple(target.system for target in targets)
    places = read.named(name)
    if not places:
        names = sorted({node.name for node in read.nodes})
        return Why(project.name, name, systems, (), tuple(difflib.get_close_matches(name, names, _NEAR)))
    walks = {target.system: graph.Walk(project, read, target) for target in targets}
    found = [_found(place, read, walks) for place in places]
    if not any(one.systems for one in found):
        everything = graph.Walk(project, read, None)
        ways = ((place, everything.paths(place)) for place in places)
        found = [
            Found(read.nodes[place].version, (), tuple(Way(steps, ()) for steps in paths)) for place, paths in ways
        ]
        others = tuple(one for one, view in views(whole).items() if _has(read, view, places, targets))
        return Why(project.name, name, systems, tuple(found), (), environment, others)
    return Why(project.name, name, systems, tuple(found), (), environment)


def _has(read: graph.Graph, project: Project, places: Sequence[int], targets: Sequence[Target]) -> bool:
    walks = (graph.Walk(project, read, target) for target in targets)
    return any((place, graph.WHOLE) in walk.came for walk in walks for place in places)


def _found(place: int, read: graph.Graph, walks: dict[str, graph.Walk]) -> Found:
    having = {system: walk for system, walk in walks.items() if (place, graph.WHOLE) in walk.came}
    ways: dict[tuple[graph.Step, ...], list[str]] = {}
    for system, walk in having.items():
        for steps in walk.paths(place):
            ways.setdefault(steps, []).append(system)
    ordered = sorted(ways.items(), key=lambda item: (len(item[0]), [step.name for step in item[0]]))
    return Found(read.nodes[place].version, tuple(having), tuple(Way(steps, tuple(names)) for steps, names in ordered))


def as_json(why: Why) -> str:
    """The JSON of ``nixgen why --json``, version 1; a version that is not known is null."""
    found = [
        {
            "version": one.version,
            "targets": list(one.systems),
            "paths": [{"targets": list(way.systems), "steps": [_step(step) for step in way.steps]} for way in one.ways],
        }
        for one in why.found
    ]
    head = {"version": JSON_VERSION, "project": why.project, "package": why.package}
    body = {"targets": list(why.systems), "found": found, "near": list(why.near)}
    more = {"environment": why.environment} if why.environment else {}
    return jsontext.dumps({**head, **body, **more, **({"others": list(why.others)} if why.others else {})})


def _step(step: graph.Step) -> dict[str, Any]:
    kind, part = step.part
    return {
        "name": step.name,
        "version": step.version,
        "extra": part if kind == "extra" else None,
        "group": part if kind == "group" else None,
        "marker": step.marker,
    }


def as_text(why: Why) -> str:
    """A line for each way to the package, under each version of it."""
    lines: list[str] = []
    for one in why.found:
        if not one.systems and any(other.systems for other in why.found):
            continue
        named = f"{why.package} {one.version or '(dynamic version)'}"
        if not one.systems:
            whose = f" of the environment {why.environment}" if why.environment else ""
            lines.append(f"{named} is in uv.lock, and installed for no target{whose}. It would come in by:")
        else:
            whose = f", environment {why.environment}" if why.environment else ""
            lines.append(f"{named}{whose}{_for(one.systems, why.systems)}")
        for way in one.ways:
            lines.append(f"  {_path(way.steps)}{_for(way.systems, one.systems)}")
            markers = dict.fromkeys(graph.plain(step.marker) for step in way.steps if step.marker)
            lines += [f"      where {marker}" for marker in markers]
        lines.append("")
    for name in why.others:
        place = f"the environment {name}" if name else "the default environment"
        lines.append(f"It is in {place}: nixgen why {why.package}{f' --env {name}' if name else ''}")
    return "\n".join(lines).rstrip()


def _for(systems: Sequence[str], all_systems: Sequence[str]) -> str:
    return "" if tuple(systems) == tuple(all_systems) else f" ({', '.join(systems)})"


def _path(steps: Sequence[graph.Step]) -> str:
    shown = {"": "{0}", "extra": "{0}[{1}]", "group": "{0} (group {1})"}
    return " → ".join(shown[step.part[0]].format(step.name, step.part[1]) for step in steps)
