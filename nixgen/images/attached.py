"""What is attached to an image in a registry: the bill of materials, and the provenance with the git revision."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nixgen import __version__
from nixgen.bom import cyclonedx
from nixgen.bom.collect import collect
from nixgen.check import record
from nixgen.images.build import Made
from nixgen.lock import lockfile
from nixgen.registries.push import Document
from nixgen.runs import facts, statement

SBOM = "application/vnd.cyclonedx+json"
PROVENANCE = "application/vnd.in-toto+json"
BUILD_TYPE = "tag:nixgen,2026:image/v1"
"""What the keys below ``externalParameters`` mean: docs/ship.md, "Images"."""
BUILDER = "tag:nixgen,2026:image"
_SYSTEMS = {"linux/amd64": "x86_64-linux", "linux/arm64": "aarch64-linux"}
_FILES = ("pyproject.toml", "uv.lock", "models.toml", lockfile.NAME, record.NAME)


def documents(made: Made) -> tuple[Document, ...]:
    """The documents of an image; a model's has no bill of materials. The same commit gives the same bytes."""
    found = [Document("provenance.json", PROVENANCE, f"{statement.text(provenance(made))}\n".encode())]
    if made.environment is not None:
        systems = [_SYSTEMS[image.manifest.descriptor.platform or ""] for image in made.whole.images]
        bom = cyclonedx.document(collect(made.project, made.environment, systems))
        found.insert(0, Document("sbom.json", SBOM, f"{cyclonedx.text(bom)}\n".encode()))
    return tuple(found)


def provenance(made: Made) -> dict[str, Any]:
    """The in-toto statement about an image, with SLSA's provenance: of which commit and files it was made."""
    code, changed = _code(made.project.root)
    asked: dict[str, Any] = {"name": made.name}
    if made.environment:
        asked["environment"] = made.environment
    definition: dict[str, Any] = {"buildType": BUILD_TYPE, "externalParameters": asked}
    if changed:  # the commit does not have all of what it was made from
        definition["internalParameters"] = {"changed": changed}
    definition["resolvedDependencies"] = [*code, *_files(made.project.root)]
    return {
        "_type": statement.TYPE,
        "subject": [{"name": made.name, "digest": {"sha256": made.whole.manifest.descriptor.sha256}}],
        "predicateType": statement.PREDICATE,
        "predicate": {
            "buildDefinition": definition,
            "runDetails": {"builder": {"id": BUILDER, "version": {"nixgen": __version__}}},
        },
    }


def _code(root: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The git revision, none outside of git, and what differs from it."""
    tree = facts.tree(root, ())
    if tree is None or not tree.git.commit:
        return [], []
    found: dict[str, Any] = {"name": "code", "digest": {"gitCommit": tree.git.commit}}
    if uri := statement.repository(tree.git):
        found["uri"] = uri
    return [found], sorted(tree.changes)


def _files(root: Path) -> Iterator[dict[str, Any]]:
    for name in _FILES:
        if (path := root / name).is_file():
            yield {"name": name, "digest": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}}
