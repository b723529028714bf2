"""The registries of a project in nixgen.lock: where they are, whom to believe, and noting how far a log has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nixgen.console import console
from nixgen.errors import UserError
from nixgen.lock import lockfile, logpins
from nixgen.lock.logpins import LogPin
from nixgen.log.append import append
from nixgen.log.checkpoint import Checkpoint
from nixgen.log.keys import shown
from nixgen.log.log import Log
from nixgen.log.note import NoteError, Signer, Verifier
from nixgen.log.seen import Seen
from nixgen.log.stores.opening import open_storage
from nixgen.machine import files
from nixgen.registry.address import beside, checked, local
from nixgen.registry.entry import Entry
from nixgen.registry.known import Trust

DEFAULT = "registry"
"""The folder of a project that is its registry, where nothing else is said."""

MAKE = "make it: nixgen registry init"


def pins(root: Path | None) -> tuple[LogPin, ...]:
    """The registries of the project's nixgen.lock; none where there is no project, or no lock."""
    if root is None or not (root / lockfile.NAME).exists():
        return ()
    return lockfile.read_lock(root / lockfile.NAME).registry


def trust(noted: Sequence[LogPin], address: str | None, log_key: str | None) -> Trust:
    """The registry that a command means: the named one, else the only one that is noted; and whose log it must be.

    Raises UserError where there is none, there are several, or the key is missing, none, or not the one that is noted.
    """
    if address is None and len(noted) != 1:
        known = f"name one with --registry: {', '.join(pin.url for pin in noted)}" if noted else MAKE
        raise UserError.of(lockfile.NAME, "notes several registries" if noted else "notes no registry", known)
    url = noted[0].url if address is None else checked(address)
    pin = next((pin for pin in noted if pin.url == url), None)
    if log_key is None:
        if pin is None:
            raise UserError.of(url, f"is no registry that {lockfile.NAME} knows", f"name its key: --log-key, or {MAKE}")
        return Trust(url, pin.verifier, pin.checkpoint)
    try:
        verifier = Verifier.parse(log_key.strip())
    except NoteError as error:
        raise UserError.of(shown(log_key, "--log-key"), str(error), "it is the line in log.pub") from None
    if pin is not None and pin.verifier != verifier:
        mend = f"ask whoever gave you the key why; {lockfile.NAME} has {pin.verifier}"
        raise UserError.of("--log-key", f"is not the key that {lockfile.NAME} has for this registry", mend)
    return Trust(url, verifier, pin.checkpoint if pin else None)


def begin(root: Path, address: str, signer: Signer) -> Checkpoint:
    """The checkpoint of a new registry's empty log, or of one that is there and has this key; noted in nixgen.lock."""
    log = Log.open(open_storage(beside(local(root, address))), signer.verifier)
    done = append(log, [], signer, Seen(Entry))
    note(root, address, signer.verifier, done.checkpoint)
    return done.checkpoint


def note(root: Path, address: str, verifier: Verifier, checkpoint: Checkpoint) -> bool:
    """Notes the registry in nixgen.lock, with its log's checkpoint. Whether that changed the file."""
    with files.exclusive(root, console.info):
        lock = lockfile.read_lock(root / lockfile.NAME)
        noted = logpins.pinned(lock.registry, LogPin(address, verifier, checkpoint))
        text = lockfile.dump_lock(replace(lock, registry=noted))
        return bool(files.write_all(root, {lockfile.NAME: text.encode("utf-8")}))
