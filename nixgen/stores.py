"""Where the paths of a Nix store lie on this machine, from the store's address."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import parse_qs, unquote

from nixgen.nixjson import STORE


def place(store: str, path: str) -> Path | None:
    """Where a store path's bytes lie; None for a store that is elsewhere, or keeps its paths packed.

    ``store`` is an address as Nix's manual has it in "Store types": "" for what NIX_REMOTE or else the machine says,
    "daemon", "local", "unix://…", a folder, "local?root=/x"; everything else lies elsewhere.
    """
    address, _, query = store.partition("?")
    if address in {"", "auto"}:
        remote = os.environ.get("NIX_REMOTE", "")
        return place(remote, path) if remote not in {"", "auto"} else _below(query, path)
    if address.startswith(("/", "./")):
        return _rooted(Path(unquote(address)).absolute(), path)
    if address in {"daemon", "local", "local://"} or address.startswith("unix://"):
        return _below(query, path)
    if address.startswith("local:///"):
        return _rooted(Path(unquote(address.removeprefix("local://"))), path)
    return None


def _below(query: str, path: str) -> Path:
    """By the parameters ``real`` and ``root`` of an address."""
    given = {key: values[-1] for key, values in parse_qs(query).items()}
    if "real" in given:
        return Path(given["real"], path.rpartition("/")[2])
    return _rooted(Path(given["root"]), path) if given.get("root") else Path(path)


def _rooted(root: Path, path: str) -> Path:
    """In a folder that stands for the root of the file system: its store is FOLDER/nix/store."""
    return root / (path if path.startswith("/") else f"{STORE}/{path}").lstrip("/")
