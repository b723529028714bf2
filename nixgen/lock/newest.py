"""The newest revision of a branch of nixpkgs. Nix asks GitHub for it: its hash is known when it has arrived."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from nixgen.bases import nixpkgs
from nixgen.bases.model import Base, NixpkgsBase
from nixgen.console import console
from nixgen.errors import MachineError, NixgenError, UserError
from nixgen.nix import failures
from nixgen.nix.tools import Nix

if TYPE_CHECKING:
    from nixgen.bases.nixpkgs import Pin

REFERENCE = "github:NixOS/nixpkgs/{branch}"
_FEATURES = ("--extra-experimental-features", "flakes")
_PATIENCE = ("--option", "connect-timeout", "15", "--option", "download-attempts", "2", "--refresh")
_FORMS = {"rev": r"[0-9a-f]{40}", "narHash": r"sha256-[A-Za-z0-9+/]{43}="}


def renewed(base: NixpkgsBase, old: Base | None, *, offline: bool) -> NixpkgsBase:
    """The base at the newest revision of its branch; where nobody can be asked, what is newest of all that is known.

    A revision of one's own has no branch, and stays. Raises UserError for a branch of which no revision is known.
    """
    pin = nixpkgs.known(base.name)
    if pin is None:
        return base
    known = [base] if base.rev else []
    if isinstance(old, NixpkgsBase) and old.name == base.name:
        known.append(replace(base, rev=old.rev, nar_hash=old.nar_hash, last_modified=old.last_modified))
    try:
        known.append(_asked_for(base, pin, offline=offline))
    except NixgenError as error:
        why = error.problems[0].what.partition("\n")[0]
        if not known:
            raise UserError.of(
                "pyproject.toml: tool.nixgen.nixpkgs",
                f"this nixgen does not know {pin.name} yet, and cannot ask for it: {why}",
                f"run it with the network: nixgen sync; or use one of {', '.join(nixpkgs.PINS)}",
            ) from None
        kept = max(known, key=lambda one: one.last_modified)
        console.warn(f"there may be a newer {pin.name} than {kept.rev[:12]}: {why}")
    return max(known, key=lambda one: one.last_modified)


def _asked_for(base: NixpkgsBase, pin: Pin, *, offline: bool) -> NixpkgsBase:
    if offline:
        raise MachineError.of("nixpkgs", "it was not asked for (--offline)")
    with console.step(f"Asking GitHub for the newest {pin.branch}"):
        rev, nar_hash, modified = _locked(REFERENCE.format(branch=pin.branch))
    return replace(base, rev=rev, nar_hash=nar_hash, last_modified=modified)


@cache
def _locked(reference: str) -> tuple[str, str, int]:
    """The revision, NAR hash and time that a flake reference is locked to now. Raises MachineError."""
    found = Nix().run("nix", *_FEATURES, *_PATIENCE, "flake", "metadata", "--json", reference, check=False)
    if found.code:
        raise MachineError.of("nix", failures.last_error(found.err).partition("\n")[0])
    try:
        locked = json.loads(found.out)["locked"]
        if all(re.fullmatch(form, locked[key]) for key, form in _FORMS.items()):
            return locked["rev"], locked["narHash"], int(locked["lastModified"])
    except (ValueError, KeyError, TypeError):
        pass
    raise MachineError.of("nix", f"what it says of {reference} has no revision with a hash")
