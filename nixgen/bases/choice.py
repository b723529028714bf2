"""What both bases have to say before anything is pinned: Python versions, glibc."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nixgen.project.project import Project
    from nixgen.project.settings import Settings


def known_pythons(settings: Settings) -> tuple[str, ...]:
    """The Python versions that the base can give, the best choice first: the newest one of a stable release."""
    from nixgen.bases import nixpkgs
    from nixgen.bases.debian import suites

    return suites.pythons(settings) if settings.base == "debian" else nixpkgs.pythons(settings)


def default_glibc(settings: Settings, python: str) -> str:
    """The version of glibc to resolve for while there is no nixgen.lock. Raises UserError."""
    from nixgen.bases import nixpkgs
    from nixgen.bases.debian import suites

    if settings.base == "debian":
        return suites.default_glibc(settings, python)
    return nixpkgs.default_glibc(settings)


def pick_python(project: Project, settings: Settings, asked: str | None = None) -> str:
    """The Python version ("3.11"): ``asked`` for, the setting, .python-version, else the base's best that fits.

    What is named first counts; it must be one that the base has and that requires-python allows. Raises UserError.
    """
    from nixgen.resolve.targets import choose_python

    available = known_pythons(settings)
    return choose_python(settings, project.requires_python, project.python_version_file(), available, asked)
