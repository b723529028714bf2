"""What differs between two store paths, file by file, and why where the bytes give it away."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nixgen.check.model import ClosurePath, Difference, FileDifference, Recipe

if TYPE_CHECKING:
    from nixgen.nixtools import Nix, PathInfo


def differences(
    nix: Nix,
    expected: Mapping[str, ClosurePath],
    found: Mapping[str, ClosurePath],
    infos: Mapping[str, PathInfo],
    copy: Nix | None = None,
) -> tuple[Difference, ...]:
    """The paths of both closures (by name) whose hash, size or references differ, in dependency order.

    ``expected`` is the record's closure, ``found`` what the disk has now, ``infos`` (by full path) what Nix's database
    says. Where the other bytes can be had (from ``copy``, a substituter, or by building in a scratch store), the files
    that differ are named; the store itself is not changed. Paths that only one side has are not in the answer: their
    recipe is another one.
    """
    raise NotImplementedError


def explain(expected: Path, found: Path) -> tuple[FileDifference, ...]:
    """The files that differ between two store paths on the disk, by path, each with the causes that its bytes tell."""
    raise NotImplementedError
