"""The NAR hashes of many store paths, read from the disk by all cores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path


def hash_paths(
    paths: Mapping[str, Path], sizes: Mapping[str, int], progress: Callable[[int, int], None] | None = None
) -> dict[str, tuple[str, int]]:
    """The NAR hash (SRI) and the NAR's size of each path: key → place on the disk, in; key → both, out.

    ``sizes`` (bytes, as far as known) tell which to begin with; ``progress`` is called with bytes done and bytes in
    all. Raises MachineError for what cannot be read, naming it.
    """
    raise NotImplementedError
