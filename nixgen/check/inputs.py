"""The record's ``inputs``: what the derivations of a system are made from, out of the plan of ``nixgen generate``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from nixgen.artifacts.model import PinnedArtifact
from nixgen.bases.model import Base, DebianBase
from nixgen.builds import use
from nixgen.check.model import ArtifactInput, BaseInput, Inputs, WheelInput
from nixgen.generate import render
from nixgen.generate.digest import of_bytes
from nixgen.generate.model import Plan
from nixgen.machine import files
from nixgen.nix import vendored

_NOT_LIBRARY = (*vendored.LISTINGS, vendored.BASE, f"{vendored.FOLDER}/bootstrap/")


def inputs(plan: Plan, root: Path, system: str) -> Inputs:
    """The inputs of ``system``. ``root`` is the project's folder, whose nix/nixgen is the library that counts."""
    checkouts = {use.source_address(row): use.source_hash(row) for row in plan.builds if "git" in row}
    wheels = {
        _in(resolution.environment, package.name): WheelInput(
            package.version or "",
            package.file or package.address,
            package.sha256 or checkouts.get(package.address, ""),
        )
        for resolution in plan.resolutions
        if resolution.target.system == system
        for package in resolution.packages
        if package.kind == "wheel" or (package.built and package.kind != "directory")
    }
    return Inputs(
        files={name: _recorded(digest) for name, digest in sorted(plan.digests.items()) if digest},
        library=library_hash(root),
        project=_project(plan, system),
        base=base_input(plan.base, system),
        wheels=dict(sorted(wheels.items())),
        artifacts={artifact.key: artifact_input(artifact) for artifact in sorted(plan.artifacts, key=_key)},
    )


def _recorded(told: str) -> str:
    """What default.nix has of a file, as a SHA-256: a digest, of the whole or of its text, or lines of it."""
    return of_bytes(told.encode()) if told.startswith("lines:") else told.rpartition(":")[2]


def library_hash(root: Path) -> str:
    """The NAR hash of the project's nix/nixgen without what belongs to the base: the pins and the first program."""
    from nixgen.nix.nar import hash_tree

    library = {
        path.removeprefix(f"{vendored.FOLDER}/"): (files.read(root, path) or b"", False)
        for path in vendored.present(root)
        if not path.startswith(_NOT_LIBRARY)
    }
    return hash_tree(library)


def base_input(base: Base, system: str) -> BaseInput:
    """The base's pin for one system."""
    if not isinstance(base, DebianBase):
        more = [base.nar_hash, *base.libraries, "", *base.tools]
        digest = _digest(more) if len(more) > 2 else base.nar_hash  # noqa: PLR2004 -- neither libraries nor tools
        return BaseInput(base.kind, base.name, base.python, digest)
    debs = sorted((deb for deb in base.debs if deb.system == system), key=lambda deb: (deb.part, deb.name))
    first = [entry.sha256 for entry in base.bootstrap if entry.system == system]
    digest = _digest([*first, *(f"{deb.part} {deb.name} {deb.version} {deb.sha256}" for deb in debs)])
    return BaseInput(base.kind, base.suite, base.python, digest, dict(sorted((deb.name, deb.version) for deb in debs)))


def artifact_input(artifact: PinnedArtifact) -> ArtifactInput:
    """What stands for a model or dataset."""
    return ArtifactInput(artifact.commit, artifact.digest)


def _project(plan: Plan, system: str) -> str:
    """Of what default.nix says for this system, what is neither a wheel nor an artifact nor the base."""
    own = {
        "name": plan.name,
        "trees": [
            {key: value for key, value in row.items() if key not in {"systems", "environments"}}
            for row in render.tree_rows(plan)
            if any(system in _systems(systems) for systems in (row["systems"], *_values(row.get("environments"))))
        ],
        "prefer": list(plan.prefer),
        "services": render.service_rows(plan),
        "layouts": {artifact.key: [*artifact.layout, artifact.repo] for artifact in plan.artifacts},
    }
    others = {
        one.environment: sorted(package.name for package in one.packages if package.kind == "directory")
        for one in plan.resolutions
        if one.environment and one.target.system == system
    }
    if others:
        own["environments"] = others
    if plan.builds:
        rows = [*plan.build_wheels, *plan.builds]
        own["builds"] = [row for row in rows if system in _systems(row["systems"])]
    return _digest([json.dumps(own, sort_keys=True, ensure_ascii=False)])


def _in(environment: str, name: str) -> str:
    """What the record calls a package of an environment: its own name in the default one."""
    return f"{environment}.{name}" if environment else name


def _values(value: object) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else ()


def _systems(value: object) -> Iterable[str]:
    return value if isinstance(value, list | tuple) else ()


def _key(artifact: PinnedArtifact) -> str:
    return artifact.key


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
