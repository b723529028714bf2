"""What is attached to an image in a registry: its referrers of one kind, read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from nixgen.errors import MachineError
from nixgen.oci.model import INDEX
from nixgen.registries.client import LARGEST, Registry
from nixgen.registries.place import DIGEST

_MOST = 100  # of one kind: anybody who may push can attach more


def attached(registry: Registry, subject: str, kind: str) -> Iterator[bytes]:
    """The documents of a kind that refer to the image with the digest ``subject``, one after the other.

    Where the registry has no list of referrers, the tag that stands for it has one. Raises MachineError, UserError.
    """
    where = f"{registry.place.host}/{registry.place.name}"
    try:
        for row in [row for row in _rows(registry, subject, where) if row.get("artifactType") == kind][:_MOST]:
            _, data = registry.manifest(_digest(row), where)
            manifest = json.loads(data)
            if manifest["subject"]["digest"] == subject:
                yield _blob(registry, _digest(manifest["layers"][0]), where)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise MachineError.of(where, f"has a list of what refers to {subject} that cannot be read", "") from None


def _rows(registry: Registry, subject: str, where: str) -> list[Mapping[str, Any]]:
    reply = registry.ask("GET", registry.place.url("referrers", subject))
    data = reply.body if reply.status == 200 else None  # noqa: PLR2004 -- OK
    if data is None:
        tag = subject.replace(":", "-")
        known = registry.ask("HEAD", registry.place.url("manifests", tag), {"Accept": INDEX})
        if known.status == 404:  # noqa: PLR2004 -- Not Found
            return []
        _, data = registry.manifest(tag, where)
    return list(json.loads(data)["manifests"])


def _digest(row: Mapping[str, Any]) -> str:
    if not DIGEST.fullmatch(row["digest"]):
        raise ValueError
    return str(row["digest"])


def _blob(registry: Registry, digest: str, where: str) -> bytes:
    with registry.open(registry.place.url("blobs", digest)) as answer:
        data = answer.whole(LARGEST)
    if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
        raise MachineError.of(where, f"gives other bytes for {digest}", "try again later; else tell its host")
    return data
