"""flake.lock of a project, written without the network and without Nix (lock file format, version 7)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nixgen.bases.model import Base, NixpkgsBase
from nixgen.errors import UserError
from nixgen.machine import files
from nixgen.nix import vendored

NAME = "flake.lock"
_SHOWN = 12  # digits of a revision
DEBIAN_URL = f"path:./{vendored.FOLDER}"
_REPOSITORY = ("type", "owner", "repo")
_RELATIVE = f"./{vendored.FOLDER}"


@dataclass(frozen=True, slots=True)
class Flake:
    """flake.lock and flake.nix as they are on the disk."""

    lock: bytes
    text: bytes


def input_url(base: Base) -> str:
    """What flake.nix names as its input ``nixpkgs``: nixpkgs itself, or for the debian base the vendored folder."""
    from nixgen.bases.nixpkgs import flake_url

    return flake_url(base) if isinstance(base, NixpkgsBase) else DEBIAN_URL


def fresh(base: Base, wanted: Mapping[str, bytes]) -> bytes:
    """flake.lock of a new project. ``wanted`` holds, among others, the files of nix/nixgen."""
    from nixgen.bases.nixpkgs import flake_node

    node = flake_node(base) if isinstance(base, NixpkgsBase) else _debian_node(wanted)
    nodes = {"nixpkgs": node, "root": {"inputs": {"nixpkgs": "nixpkgs"}}}
    return _dumped({"nodes": nodes, "root": "root", "version": 7})


def read(root: Path) -> Flake | None:
    """The project's flake; None where it has no flake.lock."""
    lock = files.read(root, NAME)
    return None if lock is None else Flake(lock, files.read(root, "flake.nix") or b"")


def in_step(flake: Flake, base: Base, wanted: Mapping[str, bytes]) -> bytes:
    """flake.lock with its input ``nixpkgs`` locked to what nixgen.lock pins; other nodes stay.

    For the debian base that is the folder nix/nixgen as it will be (``wanted``), unless flake.nix names another input:
    then both are the user's own. Raises UserError for what is not a lock file.
    """
    lock, name = _parsed(flake.lock)
    if not name:
        return flake.lock
    node = lock["nodes"][name]
    if isinstance(base, NixpkgsBase):
        pinned = _nixpkgs_node(base, node)
    elif DEBIAN_URL.encode() in flake.text:
        pinned = _debian_node(wanted)
    else:
        return flake.lock
    if node == pinned:
        return flake.lock
    lock["nodes"][name] = pinned
    try:
        return _dumped(lock)
    except RecursionError:  # json reads deeper than it writes
        raise _no_lock() from None


def moved(old: bytes, new: bytes) -> str:
    """What differs where both lock the input ``nixpkgs`` to a revision, "" where that is something else."""
    with contextlib.suppress(UserError, KeyError, TypeError):
        nodes = (lock["nodes"][name] for lock, name in map(_parsed, (old, new)))
        revisions = [node["locked"]["rev"][:_SHOWN] for node in nodes]
        if revisions[0] != revisions[1]:
            return f"has nixpkgs {revisions[0]}, and nixgen.lock has {revisions[1]}"
    return ""


def _nixpkgs_node(base: NixpkgsBase, node: Mapping[str, Any]) -> dict[str, Any]:
    """The pinned node. ``original`` stays, if it is of nixpkgs: Nix locks anew what is not as flake.nix has it."""
    from nixgen.bases.nixpkgs import flake_node

    pinned = flake_node(base)
    original, locked = node.get("original"), node.get("locked")
    if isinstance(original, dict) and all(original.get(key) == pinned["original"][key] for key in _REPOSITORY):
        pinned["original"] = original
    if not base.last_modified and isinstance(locked, dict) and "lastModified" in locked:
        pinned["locked"]["lastModified"] = locked["lastModified"]  # not known to the pin: Nix has noted it
    return pinned


def _parsed(data: bytes) -> tuple[dict[str, Any], str]:
    """The lock, and the node's name of its input ``nixpkgs``; "" where it has none, or takes that of another flake."""
    try:
        lock = json.loads(data)
        name = lock["nodes"][lock["root"]].get("inputs", {}).get("nixpkgs")
        if not isinstance(name, str):
            return lock, ""
        if isinstance(lock["nodes"][name], dict):
            return lock, name
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise _no_lock()


def _no_lock() -> UserError:
    return UserError.of(NAME, "is not a lock file of Nix flakes", "restore it, or remove it and run: nixgen init")


def _debian_node(wanted: Mapping[str, bytes]) -> dict[str, Any]:
    """The folder by its store path, where the shell's derivation puts it.

    With a relative path, a current Nix finds no bash there (`nix develop` prints an error and takes the machine's own),
    and 2.8 cannot fetch the input.
    """
    from nixgen.nix.nar import hash_tree, source_path

    prefix = f"{vendored.FOLDER}/"
    tree = {path.removeprefix(prefix): (data, False) for path, data in wanted.items() if path.startswith(prefix)}
    nar_hash = hash_tree(tree)
    return {
        "locked": {"lastModified": 1, "narHash": nar_hash, "path": source_path(nar_hash), "type": "path"},
        "original": {"path": _RELATIVE, "type": "path"},
        "parent": [],
    }


def _dumped(lock: Mapping[str, Any]) -> bytes:
    """As Nix itself lays it out, so that Nix does not write it anew: two spaces, sorted keys, a newline."""
    return (json.dumps(lock, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
