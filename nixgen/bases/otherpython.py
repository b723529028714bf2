"""Which Python of the base would have a wheel where the project's has none, and what to type to have that Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from nixgen.bases.choice import default_glibc, known_pythons
from nixgen.bases.python import allows
from nixgen.formats import toml
from nixgen.formats.foreign import tables
from nixgen.resolve import wheels
from nixgen.resolve.model import Resolution, Target

if TYPE_CHECKING:
    from nixgen.project.project import Project

_AGAIN = "then the same command again: for Python {python} there is a wheel of {name}"
_OR = "; or choose another version of it"


def allowed(project: Project) -> list[str]:
    """The Pythons that the base has and requires-python allows, the best first."""
    return [python for python in known_pythons(project.settings) if allows(project.requires_python, python)]


def hinted(project: Project, resolutions: Iterable[Resolution]) -> tuple[Resolution, ...]:
    """The resolutions; their problems of wheels for other Pythons say which of these to take."""
    found = []
    for one in resolutions:
        mends = {
            problem: _hint(project, one.target, problem.where, [package.name for package in one.packages], _OR)
            for problem in one.problems
            if problem.what.startswith(wheels.OTHER_PYTHON)
        }
        problems = (replace(problem, mend=mends.get(problem) or problem.mend) for problem in one.problems)
        found.append(replace(one, problems=tuple(problems)) if mends else one)
    return tuple(found)


def of_built(project: Project, target: Target, name: str, *, failed: bool) -> str:
    """The same for a package that is built, as uv.lock has no wheel of it for this Python; "" where none is known.

    Where it ``failed``, also that uv.lock has no wheels for Pythons that requires-python does not allow.
    """
    entries = [entry for entry in _entries(project) if entry.get("name") == name]
    if not any("sdist" in entry for entry in entries):
        return ""
    if hint := _hint(project, target, name, (), ", and nothing is built"):
        return hint
    older = [python for python in known_pythons(project.settings) if _number(python) < _number(target.python)]
    cut = next((python for python in older if not allows(project.requires_python, python)), "")
    if not failed or not cut or any(entry.get("wheels") for entry in entries):
        return ""
    return f"if {name} has wheels for Python {cut}, which uv.lock leaves out: {_widened(project, cut)}"


def _hint(project: Project, target: Target, name: str, others: Sequence[str], more: str) -> str:
    """``others``: the packages that should have wheels there, too, if there is such a Python."""
    fits = _fits(project, target.system)
    fitting = [python for python in known_pythons(project.settings) if fits(python, name)]
    if not fitting:
        return ""
    free = [python for python in fitting if allows(project.requires_python, python)]
    here = [other for other in others if fits(target.python, other)]
    whole = (python for python in free if all(fits(python, other) for other in here))
    python = next(whole, (free or fitting)[0])
    if not free:
        first = _widened(project, python)
    elif project.script is not None:
        first = f'python = "{python}" under [tool.nixgen]'
    else:
        first = f"uv python pin {python}"
    return f"{first}\n{_AGAIN.format(python=python, name=name)}{more}"


def _widened(project: Project, python: str) -> str:
    where = project.script.path if project.script is not None else "pyproject.toml"
    pin = "" if project.script is not None else f" && uv python pin {python}"
    wide = f'widen requires-python = "{project.requires_python}" in {where} to allow {python}'
    return f"{wide}, then: {project.lock_again}{pin}"


def _fits(project: Project, system: str) -> Callable[[str, str], bool]:
    """Whether the lock has a wheel for a Python of a package, by name."""
    offered: dict[str, list[wheels.Offer]] = {}
    for entry in _entries(project):
        files = [{**file, "name": file.get("filename", file.get("name"))} for file in tables(entry.get("wheels"))]
        offered.setdefault(str(entry.get("name")), []).extend(wheels.offers(files))
    settings = project.settings

    @cache
    def choice(python: str) -> wheels.Choice:
        return wheels.Choice(Target(system, python), default_glibc(settings, python), settings.macos)

    return lambda python, name: choice(python).best_of(offered.get(name, ())) is not None


def _entries(project: Project) -> Sequence[Mapping[str, Any]]:
    """The packages of uv.lock or of a pylock.toml, their wheels included."""
    if project.pylock is not None:
        return tables(project.pylock.get("packages"))
    return _packages(project.lock_text())


@lru_cache(maxsize=1)
def _packages(text: str) -> Sequence[Mapping[str, Any]]:
    return tables(toml.loads(text).get("package"))


def _number(python: str) -> int:
    return int(python.partition(".")[2])
