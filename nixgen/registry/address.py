"""Where a registry lies: a folder of the project, or an address; how that is written in nixgen.lock and models.toml."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from nixgen.errors import UserError
from nixgen.machine import addresses

SCHEMES = ("file", "http", "https", "s3", "gs", "az")
LOG = "log"
_FOLDER = re.compile(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*")  # in the project


def checked(address: str) -> str:
    """An address as nixgen.lock has it. Raises UserError for credentials in it, and for what is none."""
    text = address.rstrip("/")
    if "://" not in text:
        if text.startswith("/"):
            return f"file://{text}"
        if not is_folder(text):
            raise UserError.of(address, "is not a folder of the project", "write it like registry, or file:///folder")
        return text
    if secret := addresses.secret(text):
        raise UserError.of("--registry", f"has {secret} in it", "keep logins where the store's own tools have them")
    if fault := addresses.fault(text, SCHEMES):
        raise UserError.of(address, fault, "use a folder, file://, s3:// or https://")
    return text


def is_folder(address: str) -> bool:
    """Whether an address is a folder of the project."""
    return _FOLDER.fullmatch(address) is not None and not {".", ".."} & {*address.split("/")}


def is_here(address: str) -> bool:
    """Whether no network is needed to read it."""
    return "://" not in address or address.startswith("file://")


def beside(address: str) -> str:
    """The address of a registry's log: the folder ``log`` in it, before what stands behind a question mark."""
    place, mark, query = address.partition("?")
    return f"{place.rstrip('/')}/{LOG}{mark}{query}"


def local(root: Path, address: str) -> str:
    """The address as it is opened: a folder of the project is below its root."""
    return address if "://" in address or PurePosixPath(address).is_absolute() else str(root / address)
