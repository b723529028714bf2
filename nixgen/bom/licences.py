"""The licences of packages: what their metadata says, as far as they are here."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.metadata import parse_email

from nixgen.artifacts.store import Store, store_name
from nixgen.bom.model import Licence
from nixgen.resolve.model import Package

_LARGEST = 4 << 20  # of a METADATA with a long description
_LONGEST = 80  # what is longer is the licence's text, not its name
_METADATA = re.compile(r"[^/]+\.dist-info/METADATA")


def licence(text: str) -> Licence:
    """A licence by an expression, or by some name."""
    try:
        return Licence(canonicalize_license_expression(text), spdx=True)
    except InvalidLicenseExpression:
        return Licence(text, spdx=False)


def of_metadata(text: str) -> tuple[Licence, ...]:
    """The licences that core metadata tells: License-Expression, else License where it is a name, else classifiers."""
    fields, _ = parse_email(text.replace("\r\n", "\n").partition("\n\n")[0])  # a description may be long
    for named in (fields.get("license_expression", ""), fields.get("license", "")):
        if named and len(named) <= _LONGEST and named.upper() != "UNKNOWN":
            return (licence(named),)
    parts = [value.split(" :: ") for value in fields.get("classifiers", ()) if value.startswith("License :: ")]
    names = sorted({own[-1] for own in parts if own[-1] != "OSI Approved"})
    return tuple(Licence(name, spdx=False) for name in names)


def of_wheel(root: Path, store: Store | None, package: Package, built: str) -> tuple[Licence, ...]:
    """The licences of a package, () where it is not here. ``built`` is the store path that it is unpacked in, or ""."""
    text = _unpacked(built) if built else ""
    if not text and package.kind == "wheel" and package.file and package.sha256:
        if package.path:
            text = _packed(root / package.path)
        elif store is not None:
            text = _packed(store.path(store_name(package.file), package.sha256))
    return of_metadata(text)


def of_wheels(
    root: Path, packages: Mapping[tuple[str, str], Package], built: Mapping[tuple[str, str], str]
) -> dict[tuple[str, str], tuple[Licence, ...]]:
    """The licences of packages by name and version; ``built`` has their store paths by the same."""
    store = Store.here()
    return {key: of_wheel(root, store, package, built.get(key, "")) for key, package in packages.items()}


def _unpacked(place: str) -> str:
    for found in Path(place).glob("lib/python3*/site-packages/*.dist-info/METADATA"):
        try:
            with found.open("rb") as file:
                return file.read(_LARGEST).decode("utf-8", "replace")
        except OSError:
            return ""
    return ""


def _packed(place: Path) -> str:
    if not place.is_file():
        return ""
    try:
        with zipfile.ZipFile(place) as archive:
            name = next((name for name in archive.namelist() if _METADATA.fullmatch(name)), None)
            if name is None:
                return ""
            with archive.open(name) as file:
                return file.read(_LARGEST).decode("utf-8", "replace")
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, EOFError):
        return ""
