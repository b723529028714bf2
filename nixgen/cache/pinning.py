"""The caches of a project: whom nixgen.lock says to believe, and noting how far a log has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nixgen.cache import place as places
from nixgen.cache.narinfo import PublicKey
from nixgen.cache.place import Place
from nixgen.console import console
from nixgen.errors import UserError
from nixgen.lock import lockfile
from nixgen.lock.logpins import LogPin, pinned
from nixgen.log.checkpoint import Checkpoint
from nixgen.log.keys import shown
from nixgen.log.note import NoteError, Verifier
from nixgen.machine import files

_NAME = "name it with --log-key, or note it by a push"


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom a cache's reader believes: the log's key, the keys that sign paths, the last checkpoint that is known."""

    verifier: Verifier
    keys: tuple[PublicKey, ...]
    known: Checkpoint | None = None


def pins(root: Path | None) -> tuple[LogPin, ...]:
    """The caches of the project's nixgen.lock; none where there is no project, or no lock."""
    if root is None or not (root / lockfile.NAME).exists():
        return ()
    return lockfile.read_lock(root / lockfile.NAME).cache


def choose(noted: Sequence[LogPin], url: str | None, log: str | None) -> tuple[Place, LogPin | None]:
    """The cache that a command means, and what is noted of it; without ``url``, the only one that is noted.

    Raises UserError when there is none, or there are several.
    """
    if url is None:
        if len(noted) != 1:
            known = f"they are {', '.join(pin.url for pin in noted)}" if noted else "name one, like file:///srv/cache"
            what = "has several caches" if noted else "has no cache"
            raise UserError.of(lockfile.NAME, what, known)
        url = noted[0].url
    pin = next((pin for pin in noted if pin.url == places.address(url)), None)
    return places.parse(url, log or (pin.log if pin else None)), pin


def trust(place: Place, pin: LogPin | None, log_key: str | None = None, keys: Sequence[str] = ()) -> Trust:
    """Whom to believe: what is given counts, else what nixgen.lock has.

    Raises UserError where a key is missing on both sides, is no key, or is not the one that is noted.
    """
    if log_key is None:
        if pin is None:
            raise UserError.of(place.url, "no key of its log: pass --log-key", _NAME)
        verifier = pin.verifier
    else:
        try:
            verifier = Verifier.parse(text_of(log_key))
        except NoteError as error:
            raise UserError.of("--log-key", str(error), "it is the line in log.pub") from None
        if pin is not None and pin.verifier != verifier:
            mend = f"ask whoever gave you the key why; {lockfile.NAME} has {pin.verifier}"
            raise UserError.of("--log-key", "is not the key that nixgen.lock has for this cache", mend)
    found = [PublicKey.parse(text_of(key), "--public-key") for key in keys]
    found += [PublicKey.parse(key, lockfile.NAME) for key in (pin.keys if pin and not keys else ())]
    if not found:
        raise UserError.of(place.url, "no key of its paths", "name it with --public-key")
    return Trust(verifier, tuple(found), pin.checkpoint if pin else None)


def text_of(key: str) -> str:
    """A key that is given as text, or as the file that holds it."""
    try:
        name = key.partition(":")[0].partition("+")[0]
        alike = "/" in name or (name == key and Path(key).suffix)  # "fleet-1.pub" is no key
        if not alike and not Path(key).is_file():
            return key.strip()
        return Path(key).read_text("utf-8").strip()
    except (OSError, ValueError):  # no such file, a name that is none, no UTF-8
        raise UserError.of(shown(key, "the key"), "is neither a key nor a file that can be read") from None


def note(root: Path, place: Place, verifier: Verifier, keys: Sequence[PublicKey], checkpoint: Checkpoint) -> bool:
    """Notes the cache in nixgen.lock, with its log's checkpoint; keys are added. Whether that changed the file."""
    beside = places.parse(place.url).log if place.scheme != "ssh-ng" else ""
    with files.exclusive(root, console.info):
        lock = lockfile.read_lock(root / lockfile.NAME)
        before = next((pin.keys for pin in lock.cache if pin.url == place.url), ())
        pin = LogPin(
            place.url,
            verifier,
            checkpoint,
            keys=tuple(sorted({*before, *map(str, keys)})),
            log=place.log if place.log != beside else None,
        )
        text = lockfile.dump_lock(replace(lock, cache=pinned(lock.cache, pin)))
        return bool(files.write_all(root, {lockfile.NAME: text.encode("utf-8")}))
