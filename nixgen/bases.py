"""What both bases have to say before anything is pinned: Python versions, glibc."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nixgen.settings import Settings


def known_pythons(settings: Settings) -> tuple[str, ...]:
    """The Python versions that the base can give, the best choice first: the newest one of a stable release."""
    from nixgen import debian, nixpkgs

    return debian.pythons(settings) if settings.base == "debian" else nixpkgs.pythons(settings)


def default_glibc(settings: Settings, python: str) -> str:
    """The version of glibc to resolve for while there is no nixgen.lock. Raises UserError."""
    from nixgen import debian, nixpkgs

    if settings.base == "debian":
        return debian.default_glibc(settings, python)
    return nixpkgs.default_glibc(settings)
