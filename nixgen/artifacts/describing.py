"""The manifest of a dataset that was just pinned, for which its files are read."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nixgen.artifacts.model import PinnedArtifact

if TYPE_CHECKING:
    from nixgen.artifacts.sources.context import Context


def with_manifest(pin: PinnedArtifact, previous: PinnedArtifact | None, context: Context) -> PinnedArtifact:
    """The dataset with its manifest; that of ``previous`` where reading the files again would find the same.

    Raises UserError for files that are not of the dataset's format, MachineError when the library that reads them is
    missing (nixgen's extra ``data``), and what fetching the files raises.
    """
    from nixgen.artifacts import sources
    from nixgen.data.manifest import describe

    old = previous.data if previous is not None else None
    if old is not None and previous is not None and _content(previous) == _content(pin):
        return replace(pin, data=replace(old, storage_uri=pin.source))
    places = sources.fetch(pin, context)
    sha256s = {file.path: file.sha256 for file in pin.files}
    with tempfile.TemporaryDirectory(prefix="nixgen-") as folder:
        places = _unpacked(pin, places, Path(folder))
        files = [(file.path, places[file.path]) for file in pin.files]
        return replace(pin, data=describe(pin.name, pin.source, pin.format, files, sha256s, previous=old))


def _content(pin: PinnedArtifact) -> tuple[object, ...]:
    return (pin.format, *((file.path, file.sha256) for file in pin.files))


def _unpacked(pin: PinnedArtifact, places: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    """Where each file is, members of an archive taken out of it into ``folder``."""
    from nixgen.artifacts.sources.archive import opened

    found = dict(places)
    members = [file for file in pin.files if file.member is not None]
    if not members:
        return found
    with opened(places[members[0].path], pin.key) as archive:
        for number, file in enumerate(members):
            found[file.path] = folder / str(number)
            with archive.open(str(file.member).removeprefix("./")) as stream, found[file.path].open("wb") as target:
                shutil.copyfileobj(stream, target)
    return found
