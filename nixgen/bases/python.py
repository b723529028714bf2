"""Which Python a project gets, and which patch release of it a base has."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from nixgen.errors import Problem, UserError
from nixgen.project.settings import DEFAULT_SYSTEMS
from nixgen.resolve import plain
from nixgen.resolve.model import Target
from nixgen.resolve.targets import LAST_PATCH

if TYPE_CHECKING:
    from nixgen.bases.model import Base
    from nixgen.project.settings import Settings

_FUTURE = 20  # patch releases that a Python may still get
_SUITE_PATCH = {("bookworm", "3.11"): 2, ("trixie", "3.13"): 5}  # stable: Debian keeps these for the suite's life


def targets(
    settings: Settings, systems: Sequence[str] | None, python: str, python_full: str | None = None
) -> tuple[Target, ...]:
    """The targets of a project, sorted by system; with no ``systems``, those of the settings or the base.

    ``python_full`` is the whole version ("3.11.2") of the base's interpreter; see :func:`full_version`.
    """
    wanted = sorted(set(systems or default_systems(settings)))
    full = python_full or full_version(settings, python)
    return tuple(Target(system, python, full) for system in wanted)


def default_systems(settings: Settings) -> tuple[str, ...]:
    """The systems to resolve for: those that are set, else all that the base serves."""
    from nixgen.bases import nixpkgs

    if settings.systems is not None:
        return settings.systems
    return nixpkgs.systems(settings) if settings.base == "nixpkgs" else DEFAULT_SYSTEMS[settings.base]


def full_version(settings: Settings, python: str, base: Base | None = None) -> str:
    """The whole version of the interpreter of a base, for markers that compare ``python_full_version``.

    From the pin where the base has one; of Debian from the package of the interpreter, while it is not pinned from what
    the stable suite is known to have; else the newest patch release that this nixgen knows (LAST_PATCH), ".0" for a
    newer Python. Raises UserError where the settings name another one than Debian has.
    """
    found = _debian_version(settings, python, base)
    wanted = settings.python_full if settings.python == python else None
    if found is not None:
        if wanted not in {None, found}:
            what = f"the debian base has Python {found}, not {wanted}"
            raise UserError.of("pyproject.toml: tool.nixgen.python", what, f'write python = "{python}"')
        return found
    pinned = base.python_full if base is not None and base.kind == "nixpkgs" and base.python == python else ""
    return pinned or wanted or f"{python}.{LAST_PATCH.get(python, 0)}"


def _debian_version(settings: Settings, python: str, base: Base | None) -> str | None:
    if base is not None and base.kind == "debian":
        for deb in base.debs:
            if deb.name in {f"python{python}-minimal", f"python{python}"}:
                found = re.match(re.escape(python) + r"\.\d+", deb.version.rpartition(":")[2])
                if found:
                    return found[0]
    if settings.base == "debian":
        for (suite, minor), patch in _SUITE_PATCH.items():
            if minor == python and settings.suite in {None, suite}:
                return f"{python}.{patch}"
    return None


def choose_python(
    settings: Settings,
    requires_python: str | None,
    python_version_file: str | None,
    available: Sequence[str],
    option: str | None = None,
    elsewhere: Callable[[], Mapping[str, str]] = dict,
) -> str:
    """The Python of a project: ``--python``, ``[tool.nixgen]``, ``.python-version``, else the best that fits.

    ``python_version_file`` is the text of .python-version; ``available`` what the base has, as "3.13", the best choice
    first: the newest one of a stable release; ``elsewhere`` says for others which setting has them. Raises UserError
    when the one that is named is not a version, is not in the base or is not allowed by ``requires_python``, or when
    none fits; it lists what there is.
    """
    has = _listed(available)
    allowed = [python for python in available if allows(requires_python, python)]
    for where, text in (
        ("--python", option),
        ("pyproject.toml: tool.nixgen.python", settings.python),
        (".python-version", first_line(python_version_file)),
    ):
        if text is None:
            continue
        python = minor_version(text)
        fits = f"use one of {_listed(allowed)}" if allowed else _none_fits(requires_python, has)
        if python is not None and python not in available:
            having = elsewhere().get(python)
            if having and allows(requires_python, python):
                fits = f"{having}, which has it" + (f", or {fits}" if allowed else "")
        if allowed and where == ".python-version":
            fits = f"uv python pin {allowed[0]}, and the same command again; or {fits}"
        if python is None:
            raise UserError.of(where, f'"{text}" is not a version of CPython that nixgen understands', fits)
        if python not in available:
            raise UserError.of(where, f"the {settings.base} base has no Python {python}, but {has}", fits)
        if python not in allowed:
            raise UserError.of(where, f'requires-python = "{requires_python}" does not allow Python {python}', fits)
        return python
    if not allowed:
        where = "pyproject.toml: project.requires-python"
        what = f'"{requires_python}" allows none of the Pythons that the {settings.base} base has: {has}'
        others = [
            f"{setting}, which has {python}"
            for python, setting in elsewhere().items()
            if allows(requires_python, python)
        ]
        raise UserError(
            [Problem(where, what, f"{others[0]}, or change requires-python" if others else _other_base(settings))]
        )
    return allowed[0]


def _listed(pythons: Sequence[str]) -> str:
    """For people: the newest first."""
    return ", ".join(sorted(pythons, key=lambda python: int(python.partition(".")[2]), reverse=True))


def allows(requires_python: str | None, python: str) -> bool:
    """Whether requires-python admits some release of this Python ("3.11"). Raises UserError if it cannot be read."""
    if not requires_python:
        return True
    last = LAST_PATCH.get(python, 0)
    try:
        return any(plain.allows(requires_python, f"{python}.{patch}") for patch in range(last + _FUTURE, -1, -1))
    except ValueError:
        where = "pyproject.toml: project.requires-python"
        raise UserError.of(where, f'"{requires_python}" is not a version specifier', 'write it like ">=3.11"') from None


def minor_version(text: str) -> str | None:
    """The two numbers of a Python request as uv understands them: 3.11, 3.11.4, cpython@3.11, cpython-3.11.4-linux."""
    found = re.fullmatch(r"(?:(?:cpython|cp|python)[@-]?)?(3\.\d{1,2})(?:\.\d+)?(?:-[a-z].*)?", text.strip(), re.ASCII)
    return found[1] if found else None


def whole_version(text: str | None) -> str | None:
    """The three numbers of a Python request (3.11.4, cpython@3.11.4), None where it has fewer."""
    found = re.search(r"3\.\d{1,2}\.\d{1,3}(?!\d)", text or "", re.ASCII)
    return found[0] if found and minor_version(str(text)) else None


def first_line(text: str | None) -> str | None:
    """.python-version's first line that is not empty or a comment, as uv reads it."""
    lines = (line.strip() for line in (text or "").splitlines())
    return next((line for line in lines if line and not line.startswith("#")), None)


def _none_fits(requires_python: str | None, has: str) -> str:
    return f'the base has {has}, and requires-python = "{requires_python}" allows none of them'


def _other_base(settings: Settings) -> str:
    other = "debian" if settings.base == "nixpkgs" else "nixpkgs"
    return f'change requires-python, or try base = "{other}"'
