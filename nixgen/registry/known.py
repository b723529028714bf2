"""The registries that a project knows: where each is, whom to believe, and the last checkpoint of its log.

Each is opened once for all models that come from it, and its log must go on from that checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nixgen.errors import UserError
from nixgen.log.checkpoint import Checkpoint
from nixgen.log.note import Verifier
from nixgen.registry.address import local

if TYPE_CHECKING:
    from nixgen.registry.registry import Registry

_NOTE = "note it with its log's key: nixgen registry init --registry {} --log-key KEY"


@dataclass(frozen=True, slots=True)
class Trust:
    """A registry's address, as it is noted, the key of its log, and the last checkpoint that is known of it."""

    address: str
    verifier: Verifier
    known: Checkpoint | None = None


class Registries:
    """What nixgen.lock notes, for a project in ``root``, whose models a name without a project means."""

    def __init__(self, root: Path, project: str, noted: Iterable[Trust] = ()) -> None:
        self.project = project
        self._root = root
        self._noted = {one.address: one for one in noted}
        self._opened: dict[str, Registry] = {}

    def noted(self) -> tuple[Trust, ...]:
        """All of them, by address; of those that were :meth:`used`, with the checkpoint that was read."""
        return tuple(one for _, one in sorted(self._noted.items()))

    def address(self, named: str | None, where: str) -> str:
        """The registry that ``where`` means: the named one, else the only one. Raises UserError."""
        if named is not None:
            if named not in self._noted:
                raise UserError.of(where, f"nixgen.lock knows no registry {named}", _NOTE.format(named))
            return named
        if not self._noted:
            raise UserError.of(where, "nixgen.lock notes no registry", _NOTE.format("URL"))
        if len(self._noted) > 1:
            mend = f'say which: registry = "{min(self._noted)}"; noted are {", ".join(sorted(self._noted))}'
            raise UserError.of(where, "nixgen.lock notes several registries", mend)
        return next(iter(self._noted))

    def open(self, address: str) -> Registry:
        """A registry whose log goes on from the noted checkpoint. Raises LogFinding, MachineError."""
        from nixgen.registry.registry import Registry

        found = self._opened.get(address)
        if found is None:
            trust = self._noted[address]
            found = Registry.open(local(self._root, address), self.project, trust.verifier, trust.known, own=False)
            found.address = address
            self._opened[address] = found
        return found

    def used(self, address: str) -> None:
        """Notes how far the log of a registry has come: something was pinned from it."""
        checkpoint = self.open(address).log.checkpoint()
        self._noted[address] = replace(self._noted[address], known=checkpoint)
