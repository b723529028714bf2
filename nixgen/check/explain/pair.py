"""What differs between two copies of one store path, file by file, and why where the bytes give it away."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from nixgen.check.explain import diffoscope
from nixgen.check.explain.trees import explain
from nixgen.check.model import Difference, FileDifference
from nixgen.errors import NixgenError
from nixgen.nix import nar

if TYPE_CHECKING:
    from nixgen.nix.tools import PathInfo


def beside_each_other(
    info: PathInfo, first: Path | None, other: Path | None, repeat: str, cores: int | None = None
) -> Difference:
    """The difference between an output and what building it again gave (``other``; None: not on this machine)."""
    files: tuple[FileDifference, ...] = ()
    report, found, said = None, "", "building it again gives different bytes"
    if first is None or other is None:
        said += "; they are not on this machine"
    else:
        try:
            found = nar.hash_path(other)
            if nar.hash_path(first) != info.nar_hash:
                said += "; and the disk has changed since the first build"
        except NixgenError as error:
            said += f"; they cannot be read: {error.problems[0]}"
        files = explained(first, other, cores)
        report = diffoscope.report(first, other)
    name = PurePosixPath(info.path).name
    return Difference(name, info.nar_hash, found, info.nar_hash, said, files, all_causes(files), repeat, report)


def explained(expected: Path, found: Path, cores: int | None = None) -> tuple[FileDifference, ...]:
    """The files that differ; what cannot be read is one of them."""
    try:
        return explain(expected, found, cores)
    except OSError as error:
        return (FileDifference(os.fsdecode(error.filename or ""), "content", f"cannot be read: {error.strerror}"),)


def all_causes(files: tuple[FileDifference, ...]) -> tuple[str, ...]:
    """Every cause that some file has, once each, in the order of the files."""
    return tuple(dict.fromkeys(cause for file in files for cause in file.causes))
