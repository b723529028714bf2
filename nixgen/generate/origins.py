"""Whose a pinned file is: what to call it when it cannot be fetched, or is another one now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nixgen.builds import owners as by_owner
from nixgen.nix.failures import Owner

if TYPE_CHECKING:
    from nixgen.generate.model import Plan


def owners(plan: Plan) -> Mapping[str, Owner]:
    """SHA-256 (hexadecimal digits) → whose file that is, for every file that a plan has Nix fetch."""
    found = by_owner.of_base(plan.base)
    for artifact in plan.artifacts:
        fetch = f"nixgen {'model' if artifact.kind == 'models' else 'data'} fetch {artifact.name}"
        for file in artifact.files:
            mend = f"nixgen lock --upgrade {artifact.name} && nixgen sync"
            if file.archive is not None:
                found[file.archive.sha256] = Owner(f"{artifact.key}: its archive", "nixgen.lock", mend, fetch)
            found[file.sha256] = Owner(f"{artifact.key}: {file.path}", "nixgen.lock", mend, fetch)
    for row in (*plan.build_wheels, *plan.builds):
        found |= by_owner.of_build(row)
    for resolution in plan.resolutions:
        for package in resolution.packages:
            if package.sha256:
                found[package.sha256] = by_owner.of_source(package.name, package.version)
    return found
