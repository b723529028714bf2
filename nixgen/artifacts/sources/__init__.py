"""Where models and data come from: one module for each kind of source, each with ``resolve`` and ``fetch``.

Nothing here writes into the project. What is read is checked, and ends in the context's holder: the Nix store.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from nixgen.artifacts.model import scheme_of
from nixgen.artifacts.sources.context import Context
from nixgen.artifacts.store import archive_name, store_name
from nixgen.errors import UserError

if TYPE_CHECKING:
    from nixgen.artifacts.model import ArtifactSpec, PinnedArtifact

__all__ = ["OFFLINE", "Context", "fetch", "resolve"]

OFFLINE = ("file", "registry")
"""Kinds that may need no network; where a registry does, it says so itself."""

_MODULES = {
    "hf": "hf",
    "https": "https",
    "github": "github",
    "s3": "remote",
    "file": "local",
    "archive": "archive",
    "oci": "oci",
    "registry": "registry",
}


def resolve(spec: ArtifactSpec, previous: PinnedArtifact | None, context: Context) -> PinnedArtifact:
    """What an artifact of models.toml means now: every file with its size and SHA-256.

    ``previous`` is its pin until now. Raises UserError for what is wrong with the source and for bytes that are not
    the ones that were pinned or promised, and MachineError where the network or a server fails.
    """
    if context.offline and scheme_of(spec.source) not in OFFLINE:
        raise UserError.of(spec.where, "needs the network", f"run it with the network: {context.command}")
    pinned: PinnedArtifact = _module(spec.scheme).resolve(spec, previous, context)
    return pinned


def fetch(artifact: PinnedArtifact, context: Context) -> dict[str, Path]:
    """Puts the files of a pinned artifact into the context's holder, and says where each is.

    What is there already is not read again. A member of an archive is found where its archive is: the result then
    holds the archive's path for the member, and Nix takes the member out. Raises as :func:`resolve` does.
    """
    if context.holder is None:
        raise ValueError("there is nothing that could hold the files")
    names = {
        file.path: (archive_name(file.archive), file.archive.sha256)
        if file.archive is not None
        else (store_name(file.path), file.sha256)
        for file in artifact.files
    }
    held = context.holder.find(dict.fromkeys(names.values()))
    places = {path: held[name] for path, name in names.items() if name in held}
    missing = [file for file in artifact.files if file.path not in places]
    if missing:
        if context.offline and scheme_of(artifact.source) not in OFFLINE:
            raise UserError.of(artifact.key, "is not in the store, and needs the network", "run it with the network")
        places.update(_module(artifact.scheme).fetch(artifact, context, missing))
    return places


def _module(scheme: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 -- one of the modules beside this one
    return import_module(f"nixgen.artifacts.sources.{_MODULES[scheme]}")
