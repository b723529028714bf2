"""From a plan to the text of Nix files. No input or output but the reading of the templates."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from nixgen import resources
from nixgen.model import Base, DebianBase, Plan
from nixgen.nixstr import nix_attr, to_nix

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def environment() -> Environment:
    """The templates. What they splice is turned into a Nix literal, unless it is marked as Nix already."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(resources.folder("templates")),
        finalize=to_nix,
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - finalize escapes, for Nix instead of HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["name"] = nix_attr
    return made


def default_nix(plan: Plan) -> str:
    """default.nix: every wheel and source tree of ``plan``, one line each, sorted, with the systems that use it."""
    return _render(
        "default.nix.j2",
        name=plan.name,
        digests=sorted(plan.digests.items()),
        wheels=[to_nix(row) for row in wheel_rows(plan)],
        trees=[to_nix(row) for row in tree_rows(plan)],
        prefer=plan.prefer,
        skip_imports=plan.skip_imports,
    )


def base_nix(plan: Plan) -> str:
    """nix/nixgen/base.nix: the pins of the base, from nixgen.lock, for the systems of ``plan``."""
    base = plan.base
    values: dict[str, Any] = {"base": base, "systems": sorted(plan.systems)}
    if isinstance(base, DebianBase):
        values["bootstrap"] = sorted(
            (item.system, to_nix({"file": item.file, "sha256": item.sha256}))
            for item in base.bootstrap
            if item.system in plan.systems
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
            if deb.system in plan.systems
        ]
    return _render("base.nix.j2", **values)


def flake_nix(name: str, base: Base, nixpkgs_url: str) -> str:
    """flake.nix, written once by ``nixgen init``. ``nixpkgs_url`` is the flake reference of its one input."""
    return _render("flake.nix.j2", description=f"The environment of {name}", kind=base.kind, nixpkgs_url=nixpkgs_url)


def shell_nix() -> str:
    """shell.nix, written once by ``nixgen init``, so that a plain ``nix-shell`` enters the environment."""
    return _render("shell.nix.j2")


def models_toml() -> str:
    """models.toml, written once by ``nixgen init``: a skeleton whose examples are comments."""
    return _render("models.toml.j2")


def wheel_rows(plan: Plan) -> list[dict[str, object]]:
    """One row for each distinct wheel of all targets, sorted by name, version and file."""
    systems: dict[tuple[str, str, str, str, str], set[str]] = {}
    for resolution in plan.resolutions:
        for package in resolution.packages:
            if package.kind == "wheel":
                file = package.file or ""
                version = file.split("-")[1] if package.version is None else package.version
                key = (package.name, version, file, package.sha256 or "", package.url or "")
                systems.setdefault(key, set()).add(resolution.target.system)
    return [
        {"name": name, "version": version, "file": file, "systems": sorted(used), "sha256": sha256, "url": url}
        for (name, version, file, sha256, url), used in sorted(systems.items())
    ]


def tree_rows(plan: Plan) -> list[dict[str, object]]:
    """One row for each directory source, with the systems whose resolution names it."""
    return [
        {
            "name": tree.name,
            "version": tree.version,
            "path": tree.path,
            "roots": tree.roots,
            "modules": tree.modules,
            "systems": sorted(set(_systems_with(plan, tree.name, tree.path))),
            "metadata": tree.metadata,
            "entryPoints": tree.entry_points,
        }
        for tree in sorted(plan.trees, key=lambda tree: (tree.name, tree.version, tree.path))
    ]


def _systems_with(plan: Plan, name: str, path: str) -> Iterable[str]:
    for resolution in plan.resolutions:
        for package in resolution.packages:
            if package.kind == "directory" and (package.name, package.path) == (name, path):
                yield resolution.target.system


def _render(template: str, **values: object) -> str:
    return environment().get_template(template).render(values)
