"""The templates of Nix files, and the one file that both ``lock`` and ``generate`` need: that of the base's pins.

No input or output but the reading of the templates.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import TYPE_CHECKING, Any

from nixgen import resources
from nixgen.bases.model import Base, DebianBase
from nixgen.nix.nixtext import nix_attr, to_nix

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def environment() -> Environment:
    """The templates. What they splice is turned into a Nix literal, unless it is marked as Nix already."""
    made = resources.templates(to_nix)  # which escapes, for Nix
    made.filters["name"] = nix_attr
    return made


def render(template: str, **values: object) -> str:
    """The text of a template with these values."""
    return environment().get_template(template).render(values)


def base_nix(base: Base, systems: Collection[str], exact: str | None) -> str:
    """nix/nixgen/base.nix: the pins of the base, from nixgen.lock, for these systems.

    ``exact`` is the version that its Python must have, where that counts and Nix alone can tell.
    """
    values: dict[str, Any] = {"base": base, "systems": sorted(systems), "exact": exact}
    if isinstance(base, DebianBase):
        values["bootstrap"] = sorted(
            (item.system, to_nix({"file": item.file, "sha256": item.sha256}))
            for item in base.bootstrap
            if item.system in systems
        )
        values["debs"] = [
            to_nix(
                {
                    "system": deb.system,
                    "part": deb.part,
                    "name": deb.name,
                    "version": deb.version,
                    "sha256": deb.sha256,
                    "url": deb.url,
                }
            )
            for deb in sorted(base.debs, key=lambda deb: (deb.system, deb.part, deb.name, deb.version))
            if deb.system in systems
        ]
    return render("base.nix.j2", **values)
