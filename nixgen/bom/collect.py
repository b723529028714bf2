"""Reads what a bill of materials is made from: the project, its pins, its record, and metadata in the store."""

from __future__ import annotations

from collections.abc import Sequence

from nixgen.bom import inventory, licences
from nixgen.bom.model import Bom, Licence
from nixgen.check import record
from nixgen.check.model import Record
from nixgen.errors import UserError
from nixgen.formats import foreign
from nixgen.generate import planning
from nixgen.generate.model import Plan
from nixgen.project.project import Project
from nixgen.resolve import graph
from nixgen.resolve.model import Package, Target


def collect(project: Project, environment: str = "", systems: Sequence[str] = (), plan: Plan | None = None) -> Bom:
    """The bill of materials of an environment, on these systems; none: all of its own.

    ``plan`` is the project's, where it is made already.

    Raises UserError for what keeps its Nix files from being generated, and for an environment or a system that it
    does not have.
    """
    view = project.of(environment) if environment else project
    plan = plan or planning.plan(project, planning.read_pins(project))
    targets = {one.target.system: one.target for one in plan.resolutions if one.environment == environment}
    unknown = [system for system in systems if system not in targets]
    if unknown:
        shown = ", ".join(sorted(targets))
        raise UserError.of("--system", f"the project does not serve {', '.join(unknown)}", f"it serves: {shown}")
    chosen = tuple(sorted(dict.fromkeys(systems or targets)))
    recorded = record.read_record(project.root / record.NAME)
    facts = inventory.Facts(
        version=_version(view, plan),
        record=recorded,
        licences=_licences(project, plan, environment, chosen, recorded),
        requires=_requires(view, [targets[system] for system in chosen]),
    )
    return inventory.inventory(plan, environment, chosen, facts)


def _version(view: Project, plan: Plan) -> str:
    version = foreign.lookup(view.pyproject, "project", "version")
    return version if isinstance(version, str) else next((tree.version for tree in plan.trees if tree.path == "."), "")


def _licences(
    project: Project, plan: Plan, environment: str, systems: Sequence[str], recorded: Record | None
) -> dict[tuple[str, str], tuple[Licence, ...]]:
    packages: dict[tuple[str, str], Package] = {}
    built: dict[tuple[str, str], str] = {}
    for one in plan.resolutions:
        if one.environment == environment and one.target.system in systems:
            for package in one.packages:
                key = package.name, package.version or ""
                packages.setdefault(key, package)
                output = inventory.recorded_name(recorded, one.target.system, environment, package.name)
                if output and recorded is not None:
                    built.setdefault(key, recorded.systems[one.target.system].outputs[output].out)
    found = licences.of_wheels(project.root, packages, built)
    return found | {
        (tree.name, tree.version): licences.of_metadata(tree.metadata) for tree in plan.trees if tree.metadata
    }


def _requires(view: Project, targets: Sequence[Target]) -> inventory.Names:
    """uv.lock's graph by names and versions; empty where the lock is of another tool."""
    if view.pylock is not None:
        return {}
    read = graph.read(view)
    found: dict[tuple[str, str], set[tuple[str, str]]] = {}

    def key(place: int) -> tuple[str, str]:
        node = read.nodes[place]
        return ("", "") if place in read.roots else (node.name, node.version or "")

    for target in targets:
        walk = graph.Walk(view, read, target)
        for state in walk.came:
            needs = found.setdefault(key(state[0]), set())
            needs.update(key(other) for _, (other, _) in walk.leads(state))
    return found
