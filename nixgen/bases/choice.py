"""What both bases have to say before anything is pinned: Python versions, glibc."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nixgen.bases.python import allows
from nixgen.console import console
from nixgen.errors import UserError

_SHOWN = 3

if TYPE_CHECKING:
    from nixgen.project.project import Project
    from nixgen.project.settings import Settings


def known_pythons(settings: Settings) -> tuple[str, ...]:
    """The Python versions that the base can give, the best choice first: the newest one of a stable release."""
    if settings.base == "debian":
        from nixgen.bases.debian import suites

        return suites.pythons(settings)
    from nixgen.bases import nixpkgs

    return nixpkgs.pythons(settings)


def refuse_systems(settings: Settings) -> None:
    """Raise UserError for systems that are named and that the base does not serve."""
    if settings.base == "nixpkgs":  # the debian base's are read with the settings
        from nixgen.bases import nixpkgs

        nixpkgs.refuse_systems(settings)


def elsewhere(settings: Settings, available: Sequence[str]) -> dict[str, str]:
    """Python versions that another setting gives, and which: another suite, or the other base."""
    from nixgen.bases import nixpkgs
    from nixgen.bases.debian import suites

    free = replace(settings, suite=None, nixpkgs=None)
    if settings.base == "nixpkgs":
        found = dict.fromkeys(suites.pythons(free), 'set base = "debian"')
    else:
        found = dict.fromkeys(nixpkgs.pythons(free), 'set base = "nixpkgs"')
        for suite in reversed(suites.SUITES.values()):
            found |= dict.fromkeys(suite.pythons, f'set base = "debian" and suite = "{suite.name}"')
    return {python: setting for python, setting in found.items() if python not in available}


def default_glibc(settings: Settings, python: str) -> str:
    """The version of glibc to resolve for while there is no nixgen.lock. Raises UserError."""
    if settings.base == "debian":
        from nixgen.bases.debian import suites

        return suites.default_glibc(settings, python)
    from nixgen.bases import nixpkgs

    return nixpkgs.default_glibc(settings)


def pick_python(project: Project, settings: Settings, asked: str | None = None) -> str:
    """The Python version ("3.11"): ``asked`` for, the setting, .python-version, else the base's best that fits.

    What is named first counts; it must be one that the base has and that requires-python allows. Raises UserError, also
    for a patch release that the base is known not to have; where only .python-version names that, it is said.
    """
    from nixgen.bases import python as versions

    file = project.python_version_file()
    available = known_pythons(settings)
    chosen = versions.choose_python(
        settings, project.requires_python, file, available, asked, lambda: elsewhere(settings, available)
    )
    full = versions.full_version(settings, chosen)
    if asked is not None:
        wanted = versions.whole_version(asked)
        if wanted not in {None, full} and settings.base == "debian":
            raise UserError.of(
                "--python", f"the debian base has Python {full}, not {wanted}", f"write --python {chosen}"
            )
    elif settings.python is None:
        wanted = versions.whole_version(versions.first_line(file))
        if wanted not in {None, full}:
            has = full if settings.base == "debian" else f"its newest {chosen} (to insist: --python {wanted})"
            console.info(f".python-version asks for Python {wanted}; the {settings.base} base has {has}.")
    return chosen


def own_suite(project: Project, asked: str | None, mirrors: Sequence[str]) -> str | None:
    """The suite of Ubuntu's to take the debian base from: where nothing names one, and apt has no mirror of Debian's.

    None elsewhere. ``asked`` is the Python that was asked for. Raises UserError where the suite cannot give the Python.
    """
    settings = project.settings
    if settings.base != "debian" or settings.suite is not None or mirrors:
        return None
    from nixgen.bases.debian import sources, suites

    if sources.known_vendors() != {"Ubuntu"}:
        return None
    suite = next(suite for suite in suites.SUITES.values() if suite.vendor == "Ubuntu")
    try:
        pick_python(project, replace(settings, suite=suite.name), asked)
    except UserError as error:
        where, python = error.problems[0].where, suite.pythons[0]
        what = f"this machine's apt has Ubuntu's packages and not Debian's, and {suite} has Python {python} only"
        hints = ["nixgen init --base nixpkgs", "or with Debian's: nixgen init --base debian --mirror ADDRESS"]
        typed = {".python-version": f"uv python pin {python} && nixgen init --base debian"}
        typed["--python"] = f"nixgen init --base debian --python {python}"
        if where in typed and allows(project.requires_python, python):
            hints = [typed[where], f"or: {hints[0]}", hints[1]]
        raise UserError.of(where, what, "\n".join(hints)) from None
    console.info(f"This machine's apt has Ubuntu's packages: the base is {suite} (Debian's: --mirror ADDRESS)")
    return suite.name


def is_named(project: Project, settings: Settings, asked: str | None) -> bool:
    """Whether somebody said which Python it is to be."""
    from nixgen.bases.python import first_line

    return bool(asked or settings.python or first_line(project.python_version_file()))


def best_python(
    project: Project,
    settings: Settings,
    asked: str | None = None,
    exported: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """As :func:`pick_python`; where nothing names a Python, the best that uv.lock has all wheels for, which is said.

    That is in all environments of the project, which have one Python. Where none has, the one that lacks wheels on the
    fewest systems. ``exported`` are the exported locks by environment, as far as they are known.
    """
    from nixgen.bases import python as versions
    from nixgen.resolve import environments, resolution

    first = pick_python(project, settings, asked)
    if is_named(project, settings, asked):
        return first
    views = environments.views(project)
    locks = exported if exported is not None and views.keys() <= exported.keys() else environments.export(project, {})
    offered = {entry["name"] for lock in locks.values() for entry in lock.get("packages", ()) if entry.get("wheels")}
    lacking: dict[str, set[str]] = {}
    systems: dict[str, int] = {}
    for python in known_pythons(settings):
        if not versions.allows(project.requires_python, python):
            continue
        glibc = default_glibc(settings, python)
        try:
            found = [
                one
                for name, view in views.items()
                for one in resolution.select(
                    view, locks[name], versions.targets(settings, view.settings.systems, python), glibc, {}
                )
            ]
        except UserError:
            continue  # requires-python allows another patch release only
        missing = [resolution.without_wheel(one) & offered for one in found]
        lacking[python], systems[python] = set().union(*missing), sum(map(bool, missing))
        if not systems[python]:
            break
    best = min(systems, key=lambda python: systems[python], default=first)
    if best != first:
        names = sorted(lacking.get(first, ()))
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        console.info(f"Python {best}: for {first} there is no wheel of {', '.join(names[:_SHOWN])}{more}.")
    return best


def written_python(settings: Settings, chosen: str, asked: str | None) -> str:
    """What ``init`` writes down for the Python that was chosen: with the patch release where one is named."""
    from nixgen.bases.python import whole_version

    wanted = whole_version(asked) or (settings.python_full if asked is None else None)
    return wanted if wanted and wanted.startswith(f"{chosen}.") else chosen


def warn_of_python_version(project: Project, python: str) -> None:
    """Says that .python-version names another Python than the one that is pinned: nixgen keeps to the latter."""
    from nixgen.bases.python import first_line, minor_version

    wanted = minor_version(first_line(project.python_version_file()) or "")
    if wanted not in {None, python}:
        has = wanted in known_pythons(project.settings)
        again = f"To have that: nixgen init --python {wanted}" if has else f"Not to be asked: uv python pin {python}"
        console.warn(f"Python is {python} (tool.nixgen.python), and .python-version asks for {wanted}. {again}")


def without_python_of_another_base(project: Project) -> Project:
    """The project without the setting ``python``, where it was chosen for another base, and this one lacks it.

    So is one that only Debian's testing has, where no suite is named: its packages soon leave the mirrors.
    """
    settings, python = project.settings, project.settings.python
    if python is None or (python in known_pythons(settings) and not _testing(settings, python)):
        return project
    return replace(project, settings=replace(settings, python=None, python_full=None))


def refuse_testing(project: Project, python: str) -> None:
    """Raise UserError where .python-version alone has the suite be Debian's testing, and a stable one would do."""
    settings, best = project.settings, _stable(project)
    if settings.python is None and best and project.python_version_file() and _testing(settings, python):
        what = f"Python {python} is in Debian's testing only, whose packages leave the mirrors within days"
        insist = f"to use it all the same: nixgen init --base debian --python {python}"
        mend = f"uv python pin {best} && nixgen init --base debian\n{insist}"
        raise UserError.of(".python-version", what, mend)


def warn_of_testing(project: Project, python: str) -> None:
    """Says that nothing but the Python has the suite be Debian's testing, whose packages soon leave the mirrors."""
    from nixgen.bases import nixpkgs
    from nixgen.bases.debian import suites

    if not _testing(project.settings, python):
        return
    best = _stable(project)
    if best:
        instead = f"; for the stable one: nixgen init --base debian --python {best}"
    else:
        has = python in nixpkgs.pythons(replace(project.settings, base="nixpkgs", suite=None))
        instead = "; nixpkgs has it, too: nixgen init --base nixpkgs" if has else ""
    suite = suites.suite_of(project.settings, python)
    console.warn(f"Python {python} is in Debian's testing ({suite.name}) only{instead}")


def _testing(settings: Settings, python: str) -> bool:
    """Whether nothing but the Python has the suite be Debian's testing."""
    from nixgen.bases.debian import suites

    return settings.base == "debian" and settings.suite is None and not suites.suite_of(settings, python).stable


def _stable(project: Project) -> str | None:
    """The best Python that a stable suite of Debian has and requires-python allows."""
    from nixgen.bases.python import allows

    fitting = (one for one in known_pythons(project.settings) if not _testing(project.settings, one))
    return next((one for one in fitting if allows(project.requires_python, one)), None)
