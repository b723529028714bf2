"""All environments of a project, resolved from its one lock: the default one, and those that have a name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nixgen.errors import NixgenError, Problem, UserError
from nixgen.project.project import Project
from nixgen.resolve import resolution
from nixgen.resolve.model import FileHash, Resolution, Target

DEFAULT = ""
"""The name of the environment that ``[tool.nixgen]`` itself tells of."""

_MEND = "take the system out of systems"


def views(project: Project) -> dict[str, Project]:
    """The project as each of its environments has it, by name; the default one is the first."""
    return {DEFAULT: project, **{name: project.of(name) for name in project.settings.environments}}


def export(
    project: Project, hashes: Mapping[str, FileHash], known: Mapping[str, dict[str, Any]] | None = None
) -> dict[str, dict[str, Any]]:
    """The exported lock of each environment, by name: one uv for each that is not ``known``, side by side.

    Raises what :func:`nixgen.resolve.resolution.export` raises, with the problems of all environments.
    """
    wanted, known = views(project), known or {}
    firsts = {view.lock: name for name, view in reversed(wanted.items())}  # a lock is compared once

    def one(name: str) -> dict[str, Any] | NixgenError:
        if name in known:
            return known[name]
        try:
            return resolution.export(wanted[name], hashes, check=name == firsts[wanted[name].lock])
        except NixgenError as error:
            return error

    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=len(wanted)) as pool:
        found = dict(zip(wanted, pool.map(one, wanted), strict=True))
    errors = [error for error in found.values() if isinstance(error, NixgenError)]
    if errors:
        raise type(errors[0])(dict.fromkeys(problem for error in errors for problem in error.problems))
    return {name: exported for name, exported in found.items() if isinstance(exported, dict)}


def select(
    project: Project,
    exported: Mapping[str, Mapping[str, Any]],
    targets: Sequence[Target],
    glibc: str,
    hashes: Mapping[str, FileHash],
    *,
    hints: bool = False,
) -> tuple[tuple[Resolution, ...], tuple[Resolution, ...]]:
    """The resolutions of all environments, the default one first, and those that are left out.

    What is left out lacks wheels, and nothing names its system: see :func:`nixgen.resolve.resolution.split_served`. An
    environment with a name has some of the default one's targets. With ``hints`` problems of dependency groups say so.
    Raises UserError as :func:`nixgen.resolve.resolution.select` does, and for a system that the default one leaves out.
    """
    served: list[Resolution] = []
    dropped: list[Resolution] = []
    for name, view in views(project).items():
        systems = view.settings.systems
        if name != DEFAULT:
            targets = _among([one.target for one in served if one.environment == DEFAULT], view)
        found = resolution.select(view, exported[name], targets, glibc, hashes)
        if hints:
            found = resolution.hint_groups(view, found, glibc, hashes)
        kept, left = (found, ()) if systems is not None else resolution.split_served(found)
        served += kept
        dropped += left
    return tuple(served), tuple(dropped)


def of(environment: str, resolutions: Iterable[Resolution]) -> tuple[Resolution, ...]:
    """Those that are of one environment."""
    return tuple(one for one in resolutions if one.environment == environment)


def _among(targets: Sequence[Target], view: Project) -> list[Target]:
    systems = view.settings.systems
    if systems is None:
        return list(targets)
    lacking = set(systems) - {target.system for target in targets}
    if lacking:
        where = f"pyproject.toml: {view.settings.table}.systems"
        what = "is left out of the project, where nothing can be installed for it"
        raise UserError(Problem(where, f"{system} {what}", _MEND) for system in sorted(lacking))
    return [target for target in targets if target.system in systems]
