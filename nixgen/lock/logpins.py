"""The logs of a project in nixgen.lock, of caches and registries: for each address the last checkpoint that was seen.

The checkpoint's parts stand beside its signed text, so that a review shows how the log grew; they must agree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from nixgen.formats.strictjson import Table
from nixgen.log.checkpoint import Checkpoint, root_text
from nixgen.log.note import NoteError, Verifier
from nixgen.registry import address
from nixgen.registry.known import Trust

CACHE, REGISTRY = "cache", "registry"
KEYS = (CACHE, REGISTRY)
"""The keys of the lock's top table: what the logs are beside."""

_ROOT = r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]="
_SCHEMES = ("file", "http", "https", "s3", "ssh-ng")
_NIX_KEY = r"[^\s:]+:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]="
_LINE = r"[^\x00-\x1f\x7f]+"
# What a cache's log once was cannot be found out again: a lock that is written anew would believe the cache.
_MEND = "restore it: git checkout nixgen.lock"


@dataclass(frozen=True, slots=True)
class LogPin:
    """A cache or registry: its address, its log's public key, and the log's checkpoint, whose text says who signed it.

    Of a cache, ``keys`` are the public keys of Nix ("NAME:BASE64") that sign its paths, sorted; ``log`` is the log's
    address where it does not lie beside the cache. A registry's address may be a folder of the project.
    """

    url: str
    verifier: Verifier
    checkpoint: Checkpoint
    keys: tuple[str, ...] = ()
    log: str | None = None


def parse(top: Table, key: str = CACHE) -> tuple[LogPin, ...]:
    """The caches, or registries, of a lock's top table, sorted by address. Problems are noted in the table.

    Signatures are checked where the checkpoint is used: :meth:`nixgen.log.log.Log.check`.
    """
    if key not in top:
        return ()
    urls = top.table(key, _MEND)
    pins = [_pin(urls, url, cache=key == CACHE) for url in sorted(urls.keys())]
    return tuple(pin for pin in pins if pin is not None)


def dump(pins: Iterable[LogPin], key: str = CACHE) -> dict[str, Any]:
    """The key of the lock's top table; none for nothing."""
    table = {
        pin.url: {
            "origin": pin.checkpoint.origin,
            "key": str(pin.verifier),
            "size": pin.checkpoint.size,
            "root": root_text(pin.checkpoint.root),
            "checkpoint": pin.checkpoint.note,
            **({"keys": list(pin.keys)} if pin.keys else {}),
            **({"log": pin.log} if pin.log is not None else {}),
        }
        for pin in pins
    }
    return {key: table} if table else {}


def pinned(pins: Iterable[LogPin], new: LogPin) -> tuple[LogPin, ...]:
    """The pins with this one in place of the old one for the same address, sorted."""
    return tuple(sorted([*(pin for pin in pins if pin.url != new.url), new], key=lambda pin: pin.url))


def trusted(pin: LogPin) -> Trust:
    """A registry, to be read."""
    return Trust(pin.url, pin.verifier, pin.checkpoint)


def noted(registry: Trust) -> LogPin:
    """A registry that was read, with the checkpoint that it had."""
    assert registry.known is not None  # noqa: S101 -- it goes on from one
    return LogPin(registry.address, registry.verifier, registry.known)


def _pin(urls: Table, url: str, *, cache: bool) -> LogPin | None:
    if cache or not address.is_folder(url):
        # ssh has the user's name in the address, and knows no other place for it.
        urls.check_url(url, re.sub(r"^(ssh-ng://)[A-Za-z0-9._-]+@", r"\1", url), _SCHEMES if cache else address.SCHEMES)
    entry = urls.table(url)
    entry.closed("origin", "key", "size", "root", "checkpoint", *(("keys", "log") if cache else ()))
    origin = entry.text("origin", _LINE)
    key = entry.text("key", _LINE)
    size = entry.integer("size")
    root = entry.text("root", _ROOT)
    text = entry.text("checkpoint")
    keys = entry.texts("keys", _NIX_KEY) if "keys" in entry else ()
    log = entry.text("log", _LINE) if "log" in entry else None
    if log is not None:
        entry.check_url("log", log, _SCHEMES[:-1])
    if not (key and text):
        return None
    try:
        verifier = Verifier.parse(key)
    except NoteError as error:
        entry.problem("key", str(error))
        return None
    try:
        checkpoint = Checkpoint.unverified(text.encode())
    except (NoteError, UnicodeEncodeError) as error:
        entry.problem("checkpoint", str(error) if isinstance(error, NoteError) else "is not text")
        return None
    said = {"origin": origin, "size": size, "root": root}
    for name, value in {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": root_text(checkpoint.root),
    }.items():
        if said[name] != value:
            entry.problem(name, f"is not what the checkpoint says, which is {value}")
    if verifier.name != checkpoint.origin:
        entry.problem("key", f'is of "{verifier.name}", and the checkpoint of "{checkpoint.origin}"')
    return LogPin(url, verifier, checkpoint, keys, log)
