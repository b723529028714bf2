"""Whose a pinned file is: what to call it when it cannot be fetched, or is another one now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, cast

from nixgen.bases.model import DebianBase
from nixgen.builds import use
from nixgen.nix.failures import Owner

if TYPE_CHECKING:
    from nixgen.generate.model import Plan


def owners(plan: Plan) -> Mapping[str, Owner]:
    """SHA-256 (hexadecimal digits) → whose file that is, for every file that a plan has Nix fetch."""
    found: dict[str, Owner] = {}
    if isinstance(plan.base, DebianBase):
        for deb in plan.base.debs:
            mend = "nixgen lock --upgrade && nixgen generate"
            found[deb.sha256] = Owner(f"Debian's {deb.name} {deb.version}", "nixgen.lock", mend)
    for artifact in plan.artifacts:
        fetch = f"nixgen {'model' if artifact.kind == 'models' else 'data'} fetch {artifact.name}"
        for file in artifact.files:
            mend = f"nixgen lock --upgrade {artifact.name} && nixgen generate"
            if file.archive is not None:
                found[file.archive.sha256] = Owner(f"{artifact.key}: its archive", "nixgen.lock", mend, fetch)
            found[file.sha256] = Owner(f"{artifact.key}: {file.path}", "nixgen.lock", mend, fetch)
    for row in (*plan.build_wheels, *plan.builds):
        found |= _of_crates(row) | _of_build(row)
    for resolution in plan.resolutions:
        for package in resolution.packages:
            if package.sha256:
                what = " ".join(filter(None, (package.name, package.version)))
                mend = f"uv lock --upgrade-package {package.name} && nixgen generate"
                found[package.sha256] = Owner(what, "uv.lock", mend)
    return found


def _of_crates(row: Mapping[str, object]) -> dict[str, Owner]:
    mend = "nixgen lock --upgrade && nixgen generate"
    crates = cast("Iterable[Mapping[str, str]]", row.get("crates", ()))
    return {
        one["sha256"]: Owner(f"the crate {one['name']} {one['version']} of {row['name']}", "nixgen.lock", mend)
        for one in crates
    }


def _of_build(row: Mapping[str, object]) -> dict[str, Owner]:
    """Whose the source of a build, or a wheel that one needs, is; nothing for a folder of the project."""
    if "folder" in row:
        return {}
    mend = "nixgen lock --upgrade && nixgen generate"
    what = f"{row['name']} {row['version']}"
    if "git" in row:
        return {use.source_hash(row): Owner(what, "nixgen.lock", mend, "nixgen lock")}
    return {use.source_hash(row): Owner(f"{what}, which a build needs", "nixgen.lock", mend)}
