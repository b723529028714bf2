"""What requires what: uv.lock's own graph, walked from the project for a target as uv walks it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nixgen.formats.foreign import lookup, strings, table, tables
from nixgen.project import uvlock
from nixgen.project.names import normalized
from nixgen.project.project import Project
from nixgen.resolve.markers import NO, YES, Markers
from nixgen.resolve.model import Target

_CONFLICT = re.compile(r"""extra\s*(==|!=)\s*(?:'([^']*)'|"([^"]*)")""")
_ROUNDS = 8  # walks until the extras that conflict markers ask for are known; two do for nearly all

Part = tuple[str, str]
"""A part of a package that has requirements of its own: ("", ""), ("extra", NAME) or ("group", NAME)."""

WHOLE: Part = ("", "")

State = tuple[int, Part]
"""A package, by its place in the lock, and a part of it."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A requirement: the packages that it may lead to (one, where uv.lock says which), with extras, under a marker."""

    to: tuple[int, ...]
    extras: tuple[str, ...]
    marker: str | None


@dataclass(frozen=True, slots=True)
class Node:
    """A package of uv.lock, with the requirements of each of its parts; ``forks`` are its resolution-markers."""

    name: str
    version: str | None
    edges: Mapping[Part, tuple[Edge, ...]]
    forks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """A package on a path. ``marker`` is that of the requirement that led to it, ``part`` what requires the next."""

    name: str
    version: str | None
    marker: str | None
    part: Part


@dataclass(frozen=True, slots=True)
class Graph:
    """The packages of uv.lock, and the places of those that stand for the project: itself, or a workspace's members."""

    nodes: tuple[Node, ...]
    roots: tuple[int, ...]

    def named(self, name: str) -> tuple[int, ...]:
        """The places of a package: several where uv.lock has it in several versions."""
        return tuple(place for place, node in enumerate(self.nodes) if node.name == name)


def read(project: Project) -> Graph:
    """The graph of a project's uv.lock."""
    head, blocks = project.uv_lock().head, uvlock.packages(project.lock_text())
    places: dict[str, list[int]] = {}
    for place, block in enumerate(blocks):
        places.setdefault(block["name"], []).append(place)
    nodes = [
        Node(
            block["name"],
            block.get("version"),
            dict(_parts(block, blocks, places)),
            tuple(strings(block.get("resolution-markers"))),
        )
        for block in blocks
    ]
    roots = [place for place, block in enumerate(blocks) if uvlock.folder(block) == "." and "source" in block]
    members = strings(lookup(head, "manifest", "members"))
    if not roots or "project" not in project.pyproject:
        roots = [place for name in members for place in places.get(name, ())]
    own: dict[Part, tuple[Edge, ...]] = {
        ("group", group): tuple(_edge(one, blocks, places) for one in tables(needs))
        for group, needs in table(head, "manifest", "dependency-groups").items()
    }
    if project.script is not None:
        own[WHOLE] = tuple(_edge(one, blocks, places) for one in tables(lookup(head, "manifest", "requirements")))
    if own:  # groups of a workspace's root that is no package itself, or what a script asks for
        nodes.append(Node(project.script.path if project.script is not None else project.name, None, own, ()))
        roots.append(len(nodes) - 1)
    return Graph(tuple(nodes), tuple(roots))


def _parts(
    block: Mapping[str, Any], blocks: Sequence[Mapping[str, Any]], places: Mapping[str, Sequence[int]]
) -> Iterator[tuple[Part, tuple[Edge, ...]]]:
    whole: dict[Part, object] = {WHOLE: block.get("dependencies")}
    whole |= {("extra", extra): needs for extra, needs in table(block, "optional-dependencies").items()}
    whole |= {("group", group): needs for group, needs in table(block, "dev-dependencies").items()}
    for part, needs in whole.items():
        yield part, tuple(_edge(one, blocks, places) for one in tables(needs))


def _edge(need: Mapping[str, Any], blocks: Sequence[Mapping[str, Any]], places: Mapping[str, Sequence[int]]) -> Edge:
    to = tuple(
        place
        for place in places.get(need["name"], ())
        if all(key not in need or need[key] == blocks[place].get(key) for key in ("version", "source"))
    )
    return Edge(to, tuple(strings(need.get("extra", need.get("extras")))), need.get("marker"))


class Walk:
    """What is installed for a target: every part of a package that is reached, and by which requirement first.

    Without a target all that uv.lock has, whatever extras, groups and markers say.
    """

    def __init__(self, project: Project, graph: Graph, target: Target | None) -> None:
        self._graph = graph
        self._active: frozenset[str] = frozenset()
        environments = strings(project.uv_lock().head.get("supported-markers"))
        self._decides = None if target is None else Markers(target, project.settings.macos, environments)
        self._starts = [
            (root, part)
            for root in graph.roots
            for part in graph.nodes[root].edges
            if target is None or (_wanted(project, part) and (not environments or any(map(self._holds, environments))))
        ]
        self.came: dict[State, tuple[State, Edge] | None] = {}
        for _ in range(_ROUNDS):
            self.came = self._reached()
            active = frozenset(_encoded(graph.nodes[place].name, part) for place, part in self.came)
            if active == self._active:
                break
            self._active = active

    def _reached(self) -> dict[State, tuple[State, Edge] | None]:
        came: dict[State, tuple[State, Edge] | None] = dict.fromkeys(self._starts)
        queue = list(self._starts)
        for state in queue:  # which grows: the nearest come first
            for edge, other in self.leads(state):
                if other not in came:
                    came[other] = (state, edge)
                    queue.append(other)
        return came

    def leads(self, state: State) -> Iterator[tuple[Edge, State]]:
        """The requirements of a part that hold for the target, and the parts that they lead to."""
        place, part = state
        for edge in self._graph.nodes[place].edges.get(part, ()):
            if self._holds(edge.marker):
                for other in edge.to:
                    forks = self._graph.nodes[other].forks if len(edge.to) > 1 else ()
                    if not forks or any(map(self._holds, forks)):
                        yield edge, (other, WHOLE)
                        yield from ((edge, (other, ("extra", extra))) for extra in edge.extras)

    def _holds(self, marker: str | None) -> bool:
        """Where machines of the target differ, it counts."""
        if marker is None or self._decides is None:
            return True
        settled = _CONFLICT.sub(
            lambda atom: YES if ((atom[2] or atom[3]) in self._active) == (atom[1] == "==") else NO, marker
        )
        return self._decides.holds(settled) is not False

    def paths(self, place: int) -> list[tuple[Step, ...]]:
        """How a package comes in: for each part of another that requires it, the shortest path from the project."""
        found: dict[tuple[Step, ...], None] = {}
        if place in {root for root, _ in self._starts}:
            found[self._path((place, WHOLE), None)] = None
        for state in self.came:
            for edge, (other, _) in self.leads(state):
                if other == place and state[0] != place:
                    found[self._path(state, edge)] = None
        return sorted(found, key=lambda path: (len(path), [step.name for step in path]))

    def _path(self, state: State, last: Edge | None) -> tuple[Step, ...]:
        steps: list[Step] = []
        before = self.came.get(state)
        while True:
            node = self._graph.nodes[state[0]]
            marker = before[1].marker if before else None
            steps.append(Step(node.name, node.version, marker, state[1]))
            if before is None:
                break
            state, before = before[0], self.came[before[0]]
        steps.reverse()
        if last is not None:
            node = self._graph.nodes[last.to[0]]
            steps.append(Step(node.name, node.version, last.marker, WHOLE))
        return tuple(steps)


def plain(marker: str) -> str:
    """A marker with conflicting extras and groups as people write them: ``demo[cpu]``, ``demo (group dev)``."""

    def named(atom: re.Match[str]) -> str:
        told = re.fullmatch(r"(extra|group|project)-(\d+)-(.+)", atom[2] or atom[3] or "")
        if told is None or int(told[2]) > len(told[3]):
            return atom[0]
        package, part = told[3][: int(told[2])], told[3][int(told[2]) + 1 :]
        shown = {"extra": f"{package}[{part}]", "group": f"{package} (group {part})", "project": package}[told[1]]
        return shown if atom[1] == "==" else f"not {shown}"

    return _CONFLICT.sub(named, marker)


def _wanted(project: Project, part: Part) -> bool:
    """Whether the settings install this part of the project."""
    kind, name = part
    settings = project.settings
    if kind == "extra":
        return settings.all_extras or name in set(map(normalized, settings.extras))
    if kind == "group":
        chosen: Iterable[str] | None = settings.groups
        if chosen is None:
            default = lookup(project.pyproject, "tool", "uv", "default-groups")
            if default == "all":
                return True
            chosen = ["dev"] if default is None else strings(default)
        return name in set(map(normalized, chosen))
    return True


def _encoded(package: str, part: Part) -> str:
    """What conflict markers call a part: ``extra-4-demo-cpu``, ``group-4-demo-dev``, ``project-4-demo``."""
    kind, name = part
    return f"{kind or 'project'}-{len(package)}-{package}" + (f"-{name}" if name else "")
