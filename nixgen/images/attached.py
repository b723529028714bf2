"""What is attached to an image in a registry: the bill of materials, and the provenance with the git revision."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nixgen import __version__
from nixgen.bom import cyclonedx
from nixgen.bom.collect import collect
from nixgen.check import record
from nixgen.errors import Finding, Problem
from nixgen.formats.foreign import lookup
from nixgen.images.build import Made
from nixgen.lock import lockfile
from nixgen.models import signing
from nixgen.models.signing import Signer
from nixgen.registries.client import Registry
from nixgen.registries.place import reference
from nixgen.registries.push import Document
from nixgen.registries.referrers import attached
from nixgen.runs import attest, facts, statement

SBOM = "application/vnd.cyclonedx+json"
PROVENANCE = "application/vnd.in-toto+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_SIGNED = {"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": statement.PREDICATE}
"""As cosign attaches what it signs."""
BUILD_TYPE = "tag:nixgen,2026:image/v1"
"""What the keys below ``externalParameters`` mean: docs/ship.md, "Images"."""
BUILDER = "tag:nixgen,2026:image"
_SYSTEMS = {"linux/amd64": "x86_64-linux", "linux/arm64": "aarch64-linux"}
_FILES = ("pyproject.toml", "uv.lock", "models.toml", lockfile.NAME, record.NAME)


@dataclass(frozen=True, slots=True)
class Signing:
    """Who signs the provenance: a private key (PEM) with its password, else sigstore, which asks who you are."""

    key: Path | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Verified:
    """An image whose provenance somebody signed: its digest, who, and the git commit that it was made of, or ""."""

    digest: str
    signer: str
    commit: str


def documents(made: Made, by: Signing | None = None) -> tuple[Document, ...]:
    """The documents of an image; a model's has no bill of materials.

    The same commit gives the same bytes, but for signatures: a signed provenance is a sigstore bundle.
    """
    told = provenance(made)
    if by is None:
        found = [Document("provenance.json", PROVENANCE, f"{statement.text(told)}\n".encode())]
    else:
        text = attest.text(told, by.key, sign=True, password=by.password)
        found = [Document("provenance.sigstore.json", BUNDLE, text.encode(), _SIGNED)]
    if made.environment is not None:
        systems = [_SYSTEMS[image.manifest.descriptor.platform or ""] for image in made.whole.images]
        bom = cyclonedx.document(collect(made.project, made.environment, systems))
        found.insert(0, Document("sbom.json", SBOM, f"{cyclonedx.text(bom)}\n".encode()))
    return tuple(found)


def verify(text: str, signer: Signer) -> Verified:
    """Reads an image's provenance in a registry, and who signed it.

    Raises Finding where there is none that ``signer`` signed about this very image; UserError, MachineError.
    """
    place, by = reference(text)
    registry = Registry(place)
    try:
        digest, _ = registry.manifest(by, text)
        problems: list[Problem] = []
        for data in attached(registry, digest, BUNDLE):
            try:
                document = signing.verify_statement(data, text, signer)
            except Finding as error:
                problems += error.problems
                continue
            if {"sha256": digest.partition(":")[2]} in [one.get("digest") for one in document.get("subject", ())]:
                return Verified(digest, signing.statement(data, text).who, _commit(document))
            problems.append(Problem(text, "has a signed provenance of another image", "nixgen image push --key FILE"))
    finally:
        registry.close()
    raise Finding(problems or [Problem(text, "has no signed provenance", "sign it: nixgen image push --key FILE")])


def _commit(document: Mapping[str, Any]) -> str:
    rows = lookup(document, "predicate", "buildDefinition", "resolvedDependencies")
    found = [lookup(row, "digest", "gitCommit") for row in rows] if isinstance(rows, list) else []
    return next((one for one in found if isinstance(one, str)), "")


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
