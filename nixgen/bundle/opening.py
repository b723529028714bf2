"""``nixgen bundle verify`` and ``open``: what a bundle says of itself, its signature, and the way into Nix's store."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from nixgen.bundle import model, proofs, reading
from nixgen.bundle.model import Bundle, File
from nixgen.bundle.reading import Sink
from nixgen.check import record
from nixgen.check.digest import closure_digest
from nixgen.check.facts import system as own_system
from nixgen.check.model import ClosurePath
from nixgen.console import Line, console, size
from nixgen.errors import Finding, MachineError, UserError
from nixgen.lock import lockfile
from nixgen.machine import scratch
from nixgen.machine.files import LIMIT
from nixgen.models import signing
from nixgen.models.signing import Signer
from nixgen.nix.importing import Importing
from nixgen.nix.json import STORE
from nixgen.nix.tools import Nix


@dataclass(frozen=True, slots=True)
class Seen:
    """What a bundle is: its digest, who signed it ("" for nobody), whether that was checked, and paths in a log."""

    bundle: Bundle
    digest: str
    signer: str
    checked: bool
    logged: int


class Verifying(Sink):
    """Checks what stands in front, and shows how far the reading is. ``signer`` must have signed, None for anybody."""

    def __init__(self, name: str, signer: Signer | None) -> None:
        self._name, self._signer, self._line, self._done = name, signer, Line(), 0
        self.seen: Seen | None = None
        self.recorded = 0

    def begin(self, bundle: Bundle, digest: str, statement: bytes, log: bytes) -> None:
        """Raises Finding for a statement about something else, a signature or proof that is not good."""
        where = f"{self._name}: {model.STATEMENT}"
        found = signing.statement(statement, where)
        document = found.document
        if self._signer is not None:
            if not found.signed:
                raise Finding.of(where, "is not signed", "sign it: nixgen bundle --key FILE")
            document = signing.verify_statement(statement, where, self._signer)
        if document != model.statement(bundle, digest, closure_digest(bundle.paths.values())):
            raise Finding.of(where, "is about another bundle", "get the file again, from who made it")
        count = len(proofs.logged(log, bundle, self._name)) if log else 0
        who = found.who if found.signed else ""
        self.seen = Seen(bundle, digest, who, self._signer is not None, count)
        self._total, self._record = bundle.size, b""
        self._reads_record = False

    def file(self, path: str, file: File) -> None:
        """The record is kept, and compared at its end. Raises Finding for one that no nixgen reads."""
        self._reads_record = path == record.NAME and not file.target
        if self._reads_record and file.size > LIMIT:
            raise Finding.of(f"{self._name}: {path}", f"has more than {LIMIT >> 20} MiB", "get the file again")

    def path(self, path: ClosurePath) -> None:  # noqa: ARG002 -- a sink's
        """Nothing of its own."""
        self._reads_record = False

    def piece(self, piece: bytes) -> None:
        """Counts."""
        self._done += len(piece)
        if self._reads_record:
            self._record += piece
        if self._line.shown and not console.quiet:
            self._line.write(f"reading {size(min(self._done, self._total))} of {size(self._total)}")

    def end(self) -> None:
        """Raises Finding where the project's record has other hashes."""
        if not self._reads_record or self.seen is None:
            return
        bundle = self.seen.bundle
        entry = record.parse_record(self._record.decode("utf-8", "replace")).systems.get(bundle.system)
        known = entry.closure if entry is not None else {}
        wrong = [name for name, path in bundle.paths.items() if name in known and known[name] != path]
        if wrong:
            what = (
                f"is not as {record.NAME} has it, and {len(wrong)} in all" if len(wrong) > 1 else "is not as recorded"
            )
            raise Finding.of(f"{self._name}: {wrong[0]}", what, "get the file again, from who made it")
        self.recorded = len(known.keys() & bundle.paths.keys())

    def clear(self) -> None:
        """Nothing is left on the line."""
        self._line.write("")


def verify(place: Path, signer: Signer | None) -> tuple[Seen, int]:
    """What a bundle is, all of it read; and how many paths its record has. Raises Finding, UserError, MachineError."""
    sink = Verifying(str(place), signer)
    try:
        reading.read(place, sink)
    finally:
        sink.clear()
    assert sink.seen is not None  # noqa: S101 -- a bundle begins
    return sink.seen, sink.recorded


class _Opening(Verifying):
    """The same, and what is read is written: files into a folder, paths into Nix's store."""

    def __init__(self, name: str, signer: Signer | None, folder: Path, nix: Nix, stack: contextlib.ExitStack) -> None:
        super().__init__(name, signer)
        self._folder, self._nix, self._stack = folder, nix, stack
        self._importing: Importing | None = None
        self._file: IO[bytes] | None = None
        self._valid: frozenset[str] = frozenset()
        self._taken = False

    def begin(self, bundle: Bundle, digest: str, statement: bytes, log: bytes) -> None:
        """Raises UserError for a bundle of another system, or one whose models are not here."""
        super().begin(bundle, digest, statement, log)
        if bundle.system != own_system():
            what = f"is for {bundle.system}, and this machine is {own_system()}"
            raise UserError.of(self._name, what, "make one for this machine: nixgen bundle --system")
        self._valid = frozenset(self._nix.valid([*bundle.paths, *bundle.missing]))
        if lost := [name for name in bundle.missing if name not in self._valid]:
            what = f"was made without models, and this machine does not have them: {', '.join(lost)}"
            raise MachineError.of(self._name, what, "fetch them here first, or make it without --without models")
        if self._signer is None:
            signed = "has a signature that is not checked" if self.seen and self.seen.signer else "is not signed"
            console.warn(f"{self._name}: {signed}: other projects of this machine will use its paths, too (--key FILE)")

    def file(self, path: str, file: File) -> None:
        super().file(path, file)
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.target:
            target.symlink_to(file.target)
            return
        self._file = os.fdopen(
            os.open(
                target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, reading.PROJECT_MODES[file.executable]
            ),
            "wb",
        )

    def path(self, path: ClosurePath) -> None:
        super().path(path)
        self._taken = path.name not in self._valid
        if not self._taken:
            return
        if self._importing is None:
            self._importing = self._stack.enter_context(Importing(self._nix))
        self._importing.begin(path.name, path.nar_hash, path.nar_size, path.references)

    def piece(self, piece: bytes) -> None:
        super().piece(piece)
        if self._file is not None:
            self._file.write(piece)
        elif self._taken and self._importing is not None:
            self._importing.piece(piece)

    def end(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        elif self._taken and self._importing is not None:
            self._importing.end()
        self._taken = False
        super().end()

    def root(self, setup: str, place: Path) -> None:
        """Keeps a path from garbage collection, by a link."""
        self._nix.run("nix-store", "--realise", f"{STORE}/{setup}", "--add-root", place)


def open_bundle(place: Path, folder: Path | None, signer: Signer | None) -> tuple[Seen, Path]:
    """Brings a bundle's paths into Nix's store, and its files into a new folder; all files or none.

    Each path that was whole stays in the store until the next garbage collection, whatever comes after it. Raises
    UserError for a folder that is there, Finding, MachineError.
    """
    nix = Nix.here()
    target = folder.absolute() if folder is not None else None
    if target is not None:
        _refuse(target)
    try:
        with contextlib.ExitStack() as stack:
            made = stack.enter_context(scratch.folder(target.parent if target is not None else Path.cwd()))
            sink = _Opening(str(place), signer, made / "project", nix, stack)
            try:
                reading.read(place, sink)
            finally:
                sink.clear()
            assert sink.seen is not None  # noqa: S101 -- a bundle begins
            target = target or Path(sink.seen.bundle.project).absolute()
            _refuse(target)
            (made / "project").mkdir(exist_ok=True)
            (made / "project").rename(target)
            for label, setup in sink.seen.bundle.environments.items():
                sink.root(setup, target / f"{model.KEEPS}{label and f'-{label}'}")
            with contextlib.suppress(UserError):  # a lock that cannot be read keeps nobody from the files
                source = model.evaluated(lockfile.read_lock(target / lockfile.NAME).base)
                if source in sink.seen.bundle.paths:
                    sink.root(source, target / model.SOURCE)
    except OSError as error:
        raise MachineError.of(str(target or folder or ""), f"cannot be written: {error.strerror}") from None
    return sink.seen, target


def _refuse(target: Path) -> None:
    if os.path.lexists(target):
        raise UserError.of(str(target), "is there already", "name a new folder: nixgen bundle open FILE DIR")
