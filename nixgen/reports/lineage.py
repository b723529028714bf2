"""A graph of where a model comes from: inputs, the run, its outputs, versions and aliases. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from nixgen.console import size
from nixgen.reports.model import Facts, Published
from nixgen.runs.model import Run

WIDTH = 204
STEP_X, STEP_Y = 246, 62
HEIGHT = 46
_MOST = 8  # nodes of a column
_ROOM = 25, 26  # letters of a node's lines
_SHORT = 12  # digits of a hash


@dataclass(frozen=True, slots=True)
class Node:
    """A box with its place: what it is, its name, and what is known of it. ``missing``: it should be there."""

    kind: str
    name: str
    detail: str = ""
    missing: bool = False
    x: int = 0
    y: int = 0

    @property
    def lines(self) -> tuple[str, str]:
        """What is written into it."""
        return _cut(self.name, _ROOM[0]), _cut(f"{self.kind}: {self.detail}" if self.detail else self.kind, _ROOM[1])


@dataclass(frozen=True, slots=True)
class Graph:
    """Columns of nodes, from inputs to aliases, and the edges between them; ``width`` and ``height`` of the picture."""

    columns: tuple[tuple[Node, ...], ...]
    edges: tuple[tuple[Node, Node], ...]
    width: int
    height: int


def lineage(facts: Facts) -> Graph | None:
    """The graph of the run that is shown, None without one."""
    run = facts.run
    if run is None:
        return None
    ended = "" if run.exit is None else f", exit code {run.exit}"
    versions = [(one, version) for one in facts.shelves for version in one.versions if version.run == run.id]
    outputs = [Node("output", one.path, f"{size(one.size)}, {one.sha256[:_SHORT]}") for one in run.outputs]
    columns = [
        _some(_inputs(run)),
        [Node("run", run.id, f"{run.status}{ended}", missing=run.status != "finished")],
        _some(outputs or [Node("output", "none recorded", missing=True)]),
        _some([_version(one) for _, one in versions]),
        _some([Node("alias", f"{_own(one)}@{alias}", one.version) for _, one in versions for alias in one.aliases]),
    ]
    placed = _placed([column for column in columns if column])
    edges = [
        (left, right)
        for first, second in pairwise(placed)
        for left in first
        for right in second
        if right.kind != "alias" or left.name == _target(right)
    ]
    height = max(len(column) for column in placed) * STEP_Y
    return Graph(tuple(placed), tuple(edges), (len(placed) - 1) * STEP_X + WIDTH, height)


def _inputs(run: Run) -> list[Node]:
    git, made = run.git, run.environment
    commit = git.commit if git else ""
    changed = "with changes" if git and git.dirty else ""
    where = ", ".join(filter(None, (git.remote if git else "", changed)))
    found = [Node("commit", commit[:_SHORT] or "not recorded", where, missing=not commit)]
    digest = made.closure.removeprefix("sha256:")[:_SHORT] if made else ""
    told = f"{made.base}, Python {made.python}" if made else ""
    found.append(Node("environment", digest or "not recorded", told, missing=not digest))
    for kind, artifacts in (("data", run.data), ("model", run.models)):
        found += [Node(kind, name, f"{one.sha256[:_SHORT]}, {one.source}") for name, one in artifacts.items()]
    found += [Node("config", one.path, one.sha256[:_SHORT]) for one in run.config]
    if run.seeds is not None and run.seeds.seed is not None:
        found.append(Node("seed", str(run.seeds.seed)))
    return found


def _version(one: Published) -> Node:
    told = f"{one.digest[:_SHORT]}, {one.at[:10]}"
    return Node("version", f"{_own(one)}@{one.version}", f"deprecated, {told}" if one.deprecated else told)


def _own(one: Published) -> str:
    """A model's name without the project's, which is this one."""
    return one.model.partition("/")[2]


def _target(alias: Node) -> str:
    return f"{alias.name.partition('@')[0]}@{alias.detail}"


def _some(nodes: Sequence[Node]) -> list[Node]:
    if len(nodes) <= _MOST:
        return list(nodes)
    return [*nodes[: _MOST - 1], Node(nodes[0].kind, f"{len(nodes) - _MOST + 1:,} more")]


def _placed(columns: Sequence[Sequence[Node]]) -> list[tuple[Node, ...]]:
    most = max(map(len, columns))
    return [
        tuple(
            replace(one, x=x * STEP_X, y=(most - len(column)) * STEP_Y // 2 + y * STEP_Y)
            for y, one in enumerate(column)
        )
        for x, column in enumerate(columns)
    ]


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 1]}…"
