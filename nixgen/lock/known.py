"""What packages are known to need of the debian base, as settings that nixgen writes by itself."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from nixgen.bases.debian.suites import suite_of
from nixgen.builds import advice
from nixgen.console import console
from nixgen.formats.foreign import lookup, table
from nixgen.resolve.model import Package

if TYPE_CHECKING:
    from nixgen.project.edit import Value
    from nixgen.project.project import Project


def needs(project: Project, python: str, packages: Iterable[Package]) -> dict[str, Value]:
    """The keys of ``[tool.nixgen]`` with what these packages are known to need; says what is added.

    Empty on another base, and where the settings have all of it.
    """
    if project.settings.base != "debian":
        return {}
    suite = suite_of(project.settings, python).name
    found = sorted(packages, key=lambda package: package.built)
    values: dict[str, Value] = {}
    tables = dict(table(lookup(project.table, "packages")))
    for where, lists in advice.known_settings(project.settings, suite, found).items():
        name = where.removeprefix("tool.nixgen").removeprefix(".packages.")
        if name:
            tables[name] = {**tables.get(name, {}), **lists}
            values["packages"] = tables
        else:
            values |= lists
        for key, names in lists.items():
            console.info(
                f"Adding to pyproject.toml, as packages are known to need it: [{where}] {key} = {json.dumps(names)}"
            )
    return values
