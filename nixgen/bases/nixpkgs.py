"""The nixpkgs base: a table of revisions that were published, and how flake.lock names one.

Nothing here asks the network: a pin is a revision and the hash of its tree, and both are known beforehand. Newer ones
are asked for in lock/newest.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from nixgen.errors import UserError
from nixgen.project.settings import SYSTEMS

if TYPE_CHECKING:
    from nixgen.bases.model import NixpkgsBase
    from nixgen.project.settings import Settings


class Pin(NamedTuple):
    """A revision of NixOS/nixpkgs that was published.

    ``nar_hash`` is SRI text, ``last_modified`` its commit's time in Unix seconds, ``glibc`` a version like "2.42", and
    ``pythons`` the CPython versions that it packages, newest first, released ones only; ``systems`` the Nix systems
    that it serves.
    """

    name: str
    rev: str
    nar_hash: str
    last_modified: int
    branch: str
    glibc: str
    pythons: tuple[str, ...]
    systems: tuple[str, ...] = SYSTEMS


PINS = {
    pin.name: pin
    for pin in (
        # glibc: pkgs/development/libraries/glibc/common.nix says 2.42 since pull request 379542 (January 2026), and
        # 2.42-67 on the 26.05 branch since pull request 523468 (May 2026).
        # Pythons: pkgs/development/interpreters/python/default.nix has python311 to python314, and a beta of 3.15; 3.10
        # left with pull request 490538 (February 2026).
        Pin(
            name="nixos-26.05",
            rev="5880666fd9eb563038431edb35c2d0aa595884e6",
            nar_hash="sha256-OURZPknrTjQrlNyxPdqzyqmU/81Wes1CUP/Ft1Rv/YI=",
            last_modified=1787204541,
            branch="nixos-26.05",
            glibc="2.42",
            pythons=("3.14", "3.13", "3.12", "3.11"),
        ),
        # Systems: what becomes 26.11 is not built for x86_64-darwin any more (its release notes; pull request 493096).
        # glibc: the pull request that brings 2.43 (502924) was open in the spring of 2026.
        Pin(
            name="nixos-unstable",
            rev="567a49d1913ce81ac6e9582e3553dd90a955875f",
            nar_hash="sha256-lrp67w8AulE9Ks53n27I45ADSzbOCn4H+CNW1Ck8B+8=",
            last_modified=1781577229,
            branch="nixos-unstable",
            glibc="2.42",
            pythons=("3.14", "3.13", "3.12", "3.11"),
            systems=tuple(system for system in SYSTEMS if system != "x86_64-darwin"),
        ),
    )
}
"""The known pins, by name."""

DEFAULT = "nixos-26.05"

UNKNOWN_GLIBC = "2.39"
"""The floor for a revision that is not in the table: NixOS 24.05's, so that no wheel asks for more than it has."""


def known(name: str | None) -> Pin | None:
    """A pin of the table, or a stable branch that is younger than it, whose revision has to be asked for ("").

    Of that is known what all older ones have, less what nixpkgs has dropped or is about to drop.
    """
    name = name or DEFAULT
    newest = PINS[DEFAULT]
    if name in PINS or not re.fullmatch(r"nixos-\d\d\.(05|11)", name) or name < newest.name:
        return PINS.get(name)
    pythons = tuple(python for python in newest.pythons if python != "3.11")
    return Pin(name, "", "", 0, name, newest.glibc, pythons, PINS["nixos-unstable"].systems)


def pin_of(name: str | None) -> Pin:
    """A known pin. Raises UserError."""
    pin = known(name)
    if pin is None:
        raise UserError.of(
            "pyproject.toml: tool.nixgen.nixpkgs",
            f'"{name}" is not a pin that nixgen knows',
            "use one of " + ", ".join(PINS) + ', or a revision with its hash: {rev = "…", narHash = "sha256-…"}',
        )
    return pin


def systems(settings: Settings) -> tuple[str, ...]:
    """The systems that the nixpkgs base serves under these settings; of an unknown revision Nix alone can tell."""
    pin = settings.nixpkgs
    if isinstance(pin, Mapping):
        found = next((one for one in PINS.values() if one.rev == pin["rev"]), None)
    else:
        found = known(pin)
    return SYSTEMS if found is None else found.systems


def refuse_systems(settings: Settings) -> None:
    """Raise UserError for systems that are named and that the pin has not."""
    for system in settings.systems or ():
        if system not in systems(settings):
            last = next((pin.name for pin in PINS.values() if system in pin.systems), "")
            raise UserError.of(
                "pyproject.toml: tool.nixgen.systems",
                f"nixpkgs has dropped {system}, and {settings.nixpkgs} does not have it any more",
                f'take it out, or set nixpkgs = "{last}", the last one that serves it',
            )


def pythons(settings: Settings) -> tuple[str, ...]:
    """The Python versions that the nixpkgs base can give under these settings, newest first."""
    pin = settings.nixpkgs
    return pin_of(pin).pythons if isinstance(pin, str) or pin is None else PINS[DEFAULT].pythons


def default_glibc(settings: Settings) -> str:
    """The version of glibc to resolve for while there is no nixgen.lock. Raises UserError."""
    pin = settings.nixpkgs
    return pin_of(pin).glibc if isinstance(pin, str) or pin is None else UNKNOWN_GLIBC


def resolve_base(settings: Settings, python: str) -> NixpkgsBase:
    """The base that the settings ask for. Raises UserError for an unknown pin or a Python that it lacks."""
    from nixgen.bases.model import NixpkgsBase

    setting = settings.nixpkgs
    if isinstance(setting, str) or setting is None:
        pin = pin_of(setting)
        if python not in pin.pythons:
            raise UserError.of(
                "pyproject.toml: tool.nixgen.python",
                f"{pin.name} has no Python {python}",
                "use one of " + ", ".join(pin.pythons),
            )
        name, rev, nar_hash, modified, glibc = pin.name, pin.rev, pin.nar_hash, pin.last_modified, pin.glibc
    else:
        rev, nar_hash = str(setting["rev"]), str(setting["narHash"])
        same = next((pin for pin in PINS.values() if pin.rev == rev), None)
        name, modified, glibc = rev[:12], int(setting.get("lastModified", 0)), UNKNOWN_GLIBC
        if same is not None:
            name, modified, glibc = same.name, same.last_modified, same.glibc
    return NixpkgsBase(
        name=name,
        rev=rev,
        nar_hash=nar_hash,
        last_modified=modified,
        glibc=glibc,
        python=python,
        libraries=tuple(settings.libraries),
        tools=tuple(settings.tools),
    )


def flake_node(base: NixpkgsBase) -> dict[str, Any]:
    """The node of flake.lock (version 7) that pins this base, as ``nix flake lock`` would write it.

    A last_modified of 0 means unknown, and is left out: Nix compares it when it is there. Without it Nix 2.8 downloads
    what is in the store already.
    """
    pin = known(base.name)
    branch = {"ref": pin.branch} if pin is not None else {"rev": base.rev}
    modified = {"lastModified": base.last_modified} if base.last_modified else {}
    repository = {"owner": "NixOS", "repo": "nixpkgs"}
    return {
        "locked": {**modified, "narHash": base.nar_hash, **repository, "rev": base.rev, "type": "github"},
        "original": {**repository, **branch, "type": "github"},
    }


def flake_url(base: NixpkgsBase) -> str:
    """The flake reference that flake.nix names as its input, the counterpart of the node's ``original``."""
    original = flake_node(base)["original"]
    return f"github:{original['owner']}/{original['repo']}/{original.get('ref') or original['rev']}"
