"""flake.lock of a project, written without the network and without Nix (lock file format, version 7)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nixgen.bases.model import Base, NixpkgsBase
from nixgen.errors import UserError
from nixgen.generate import vendored

NAME = "flake.lock"
DEBIAN_URL = f"path:./{vendored.FOLDER}"
_RELATIVE = f"./{vendored.FOLDER}"


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


def in_step(data: bytes, wanted: Mapping[str, bytes]) -> bytes:
    """``data`` with the debian base's ``nixpkgs`` node as the folder nix/nixgen will be; other nodes stay.

    A lock whose input ``nixpkgs`` is something else is the user's own and comes back as it is. Raises UserError for
    what is not a lock file.
    """
    lock, name, locked = _parsed(data)
    if locked.get("type") != "path" or lock["nodes"][name].get("original", {}).get("path") != _RELATIVE:
        return data
    node = _debian_node(wanted)
    if lock["nodes"][name] == node:
        return data
    lock["nodes"][name] = node
    return _dumped(lock)


def other_revision(data: bytes, base: NixpkgsBase) -> str | None:
    """The revision that flake.lock has for ``nixpkgs`` where it is not that of nixgen.lock, else None.

    Raises UserError for what is not a lock file.
    """
    rev = _parsed(data)[2].get("rev")
    return str(rev) if rev is not None and rev != base.rev else None


def _parsed(data: bytes) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """The lock, the node's name of its input ``nixpkgs``, and what that is locked to; "" and {} where it has none."""
    try:
        lock = json.loads(data)
        name = lock["nodes"][lock["root"]].get("inputs", {}).get("nixpkgs")
        if not isinstance(name, str):  # there is no such input, or it follows that of another flake
            return lock, "", {}
        return lock, name, dict(lock["nodes"][name].get("locked", {}))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        mend = "restore it, or remove it and run: nixgen init"
        raise UserError.of(NAME, "is not a lock file of Nix flakes", mend) from error


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
