"""Where the Rust crates of a source are fetched from: what their registry says of itself, once for all of its crates.

A registry's index has a file ``config.json`` whose ``dl`` is a pattern of addresses ("Index Format" in The Cargo Book).
An index is either files behind an address (``sparse+https://…``) or a git repository (``registry+https://…``).
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

from nixgen.builds.model import Crate
from nixgen.console import console
from nixgen.errors import MachineError, UserError
from nixgen.formats.foreign import lookup
from nixgen.machine import addresses, download, process

_LIMIT = 1 << 20
_MARKERS = ("crate", "version", "prefix", "lowerprefix", "sha256-checksum")
_ALLOWED = ("https", "http")


@dataclass(frozen=True, slots=True)
class Named:
    """A crate as Cargo.lock names it; ``registry`` is that of its index."""

    name: str
    version: str
    registry: str
    sha256: str


def addressed(owner: str, crates: Sequence[Named], patterns: dict[str, str]) -> tuple[Crate, ...]:
    """The crates of a source with their addresses, sorted. ``patterns`` are those of registries, and gets what is new.

    Raises UserError and MachineError where a registry does not say.
    """
    for registry in sorted({crate.registry for crate in crates} - patterns.keys()):
        with console.step(f"Asking {registry.partition('+')[2]} where its crates are"):
            patterns[registry] = _pattern(owner, registry)
    return tuple(
        sorted(
            Crate(crate.name, crate.version, address(patterns[crate.registry], crate), crate.sha256) for crate in crates
        )
    )


def address(pattern: str, crate: Named) -> str:
    """The address of a crate's file."""
    values = {
        "crate": crate.name,
        "version": crate.version,
        "prefix": _prefix(crate.name),
        "lowerprefix": _prefix(crate.name.lower()),
        "sha256-checksum": crate.sha256,
    }
    if not any(f"{{{marker}}}" in pattern for marker in _MARKERS):
        pattern = f"{pattern}/{{crate}}/{{version}}/download"
    return re.sub(r"\{([a-z0-9-]+)\}", lambda match: values.get(match[1], match[0]), pattern)


def _prefix(name: str) -> str:
    """The folders of a crate in an index: 1, 2, 3/f, fo/ob for names of one, two, three and more letters."""
    return {1: "1", 2: "2", 3: f"3/{name[:1]}"}.get(len(name), f"{name[:2]}/{name[2:4]}")


def _pattern(owner: str, registry: str) -> str:
    kind, _, url = registry.partition("+")
    mend = "change it by a patch, under packages of [tool.nixgen]"
    if secret := addresses.secret(url):
        what = f"Cargo.lock names a registry with {secret} in its address: {addresses.blotted(url)}"
        raise UserError.of(owner, what, mend)
    if addresses.fault(url, _ALLOWED):
        raise UserError.of(owner, f"Cargo.lock names a registry that is neither https nor http: {url}", mend)
    text = _file(url) if kind == "sparse" else _git(owner, url)
    try:
        pattern = lookup(json.loads(text), "dl")
    except (ValueError, RecursionError):
        pattern = None
    if not isinstance(pattern, str) or addresses.secret(pattern) or addresses.fault(pattern, _ALLOWED):
        raise MachineError.of(owner, f"the registry {url} does not say where its crates are", "try again later")
    return pattern


def _file(url: str) -> bytes:
    with download.open_url(f"{url.rstrip('/')}/config.json") as answer:
        return answer.read(_LIMIT)


def _git(owner: str, url: str) -> str:
    """config.json at the top of a repository: of its history and its other files, which are many, none is fetched."""
    env = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    only = ["-c", "protocol.allow=never", "-c", "protocol.https.allow=always", "-c", "protocol.http.allow=always"]
    with tempfile.TemporaryDirectory(prefix="nixgen-") as folder:
        clone = ["git", *only, "clone", "--quiet", "--bare", "--depth=1", "--filter=tree:0", "--", url, folder]
        show = ["git", *only, "-C", folder, "show", "HEAD:config.json"]
        for command in (clone, show):
            done = process.run(command, env=env, check=False, missing="install git")
            if done.code != 0:
                what = f"Cargo.lock names crates of {url}, which git cannot read\n{done.tail(2)}"
                raise MachineError.of(owner, what, "check the network")
        return done.out
