"""How large wheels are once they are unpacked, as far as it is known here: of those in the Nix store or the project.

A wheel says it in its own directory (ZIP's central directory), and uv.lock does not. So nothing is fetched for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from nixgen.artifacts.store import Store, store_name
from nixgen.resolve.model import Package, Resolution


def sizes(root: Path, resolutions: Iterable[Resolution]) -> dict[str, int]:
    """The bytes of the files in each wheel, by the SHA-256 of the wheel; one that is not here is absent."""
    store = Store.here()
    wheels = {
        package.sha256: package
        for one in resolutions
        for package in one.packages
        if package.kind == "wheel" and package.file and package.sha256
    }
    sizes = {sha256: _size(_place(root, store, package)) for sha256, package in wheels.items()}
    return {sha256: size for sha256, size in sizes.items() if size is not None}


def _place(root: Path, store: Store | None, package: Package) -> str:
    if package.path:
        return os.path.join(root, package.path)  # noqa: PTH118 -- a Path for each of thousands takes longer than all else
    return store.place(store_name(package.file or ""), package.sha256 or "") if store is not None else ""


def _size(place: str) -> int | None:
    if not os.path.isfile(place):  # noqa: PTH113 -- the same
        return None
    import zipfile

    try:
        with zipfile.ZipFile(place) as archive:
            return sum(member.file_size for member in archive.infolist())
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return None
