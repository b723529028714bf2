"""One registry, opened: its files, its log, and the key that may append. What it says comes from the log alone."""

from __future__ import annotations

from dataclasses import dataclass, field

from nixgen.errors import Problem, UserError
from nixgen.log import entry as entries
from nixgen.log.append import Appended, append
from nixgen.log.checkpoint import Checkpoint
from nixgen.log.log import Log
from nixgen.log.note import Signer, Verifier
from nixgen.log.seen import Seen
from nixgen.log.stores.opening import open_storage
from nixgen.registry.address import beside
from nixgen.registry.entry import Entry
from nixgen.registry.files import Files
from nixgen.registry.names import check_name
from nixgen.registry.opening import open_files
from nixgen.registry.state import State

CHECKSUMS = "checksum.txt"
PUBLISHING = ".publishing"
"""A file in a version's folder while it is being published."""


@dataclass(slots=True)
class Registry:
    """``address`` is where it lies, as people name it, ``project`` whose models are meant by a bare name.

    ``signer`` is None for who only reads; ``read`` has what was wrong with each version that was read. ``about`` is the
    one model (PROJECT/NAME) that the rest is about: of the log, which is proven whole, only its entries are looked at.
    """

    address: str
    project: str
    files: Files
    log: Log
    signer: Signer | None = None
    about: str = ""
    read: dict[str, tuple[Problem, ...]] = field(default_factory=dict, repr=False)
    _state: State = field(default_factory=State, repr=False)
    _known: int = field(default=0, repr=False)  # entries of the log that are in it

    @classmethod
    def open(
        cls,
        address: str,
        project: str,
        verifier: Verifier,
        known: Checkpoint | None,
        signer: Signer | None = None,
        *,
        own: bool = True,
    ) -> Registry:
        """Reads the log's checkpoint, which must go on from the ``known`` one. Raises LogFinding, MachineError.

        ``own``: see :func:`nixgen.registry.opening.open_files`.
        """
        check_name(project, "a project")
        log = Log.open(open_storage(beside(address), own=own), verifier, known)
        return cls(address, project, open_files(address, own=own), log, signer)

    def state(self) -> State:
        """What the log says, each of its lines proven to be in it. Raises LogFinding."""
        size = self.log.size
        having = f'"model":"{self.about}"'.encode() if self.about else b""  # as it is in an entry's one form
        self._state.extend(entries.read(self.log, Entry, self._known, having))
        self._known = size
        if self.about and self.about not in self._state.models:
            self.about, self._known, self._state = "", 0, State()  # to say what there is instead
            return self.state()
        return self._state

    def renew(self) -> State:
        """The same, with what others did meanwhile: the log must go on from what it was."""
        self.log.renew()
        return self.state()

    def append(self, entry: Entry) -> Appended[Entry]:
        """Adds an event; where it is in ``conflicts``, another was first and it did not take place."""
        if self.signer is None:
            raise UserError.of(self.address, "is open for reading only: there is no key", "name it with --key")
        return append(self.log, [entry], self.signer, Seen.of(self.log, Entry))

    def model(self, name: str) -> str:
        """The whole name of a model of this project."""
        return f"{self.project}/{check_name(name, 'a model')}"

    def relink(self, model: str, alias: str) -> None:
        """Makes the alias on the disk what the log says; again, when another moved it meanwhile."""
        while True:
            version = self.state().model(model).alias(alias)
            if self.files.pointed(f"{model}/{alias}") != version:
                self.files.point(f"{model}/{alias}", version)
            if self.renew().model(model).alias(alias) == version:
                return
