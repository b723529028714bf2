"""What Nix does to a cache: opens it, signs, copies to it and from it; and what its refusals mean."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path

from nixgen.cache.narinfo import PublicKey, whole
from nixgen.cache.place import Place
from nixgen.check.progress import Counter
from nixgen.console import size
from nixgen.errors import Finding, MachineError, NixgenError
from nixgen.machine import process
from nixgen.nix import install
from nixgen.nix.log import Log
from nixgen.nix.tools import Nix

FRESH = ("--option", "narinfo-cache-positive-ttl", "0", "--option", "narinfo-cache-negative-ttl", "0")
"""Options that keep Nix from answering out of its memory: it remembers for weeks what a cache had."""

# What Nix 2.8 says when another process has brought a path between its question and its answer. The next time, it sees
# that the path is there.
_OVERTAKEN = "coroutine has finished"
_TRIES = 20
_PAUSE = 0.5  # seconds, at most, before it is tried again
_EVERY = 0.1  # seconds between two looks at how far it is
_INFO = (2, 19)  # from here on `store ping` is called `store info`


def reach(cache: Nix, place: Place) -> None:
    """That Nix can open the store and reach it. Raises MachineError."""
    word = "info" if cache.version() >= _INFO else "ping"
    try:
        cache.run("nix", "store", word)
    except MachineError as error:
        if "know how to open Nix store" in str(error):
            what = f"this Nix cannot open {place.scheme}:// stores: it was built without them"
            raise MachineError.of(place.url, what, "use a newer Nix, or a folder that is copied there") from None
        if "does not appear to be a binary cache" in str(error):  # nor could Nix make it one
            mend = "check the address; push to the folder or bucket behind it"
            raise MachineError.of(place.url, "has no cache, and takes no uploads", mend) from None
        raise


def sign(store: Nix, names: Sequence[str], secret: Path) -> None:
    """Adds the key's signature to paths of a store."""
    for some in process.batches(map(whole, names)):
        store.run("nix", "store", "sign", "--key-file", secret, *some)


def copy_to(here: Nix, place: Place, names: Sequence[str], secret: Path, key: PublicKey) -> None:
    """Copies paths with all that they refer to; a cache of files gets them signed."""
    for some in process.batches(map(whole, names)):
        try:
            _copy(here, "uploaded", "--to", place.signing(secret), *some)
        except MachineError as error:
            if not _unsigned(error):
                raise
            mend = f"add to nix.conf of that machine: extra-trusted-public-keys = {key}"
            raise MachineError.of(place.url, "that machine's Nix does not trust the cache's key", mend) from None


def copy_from(here: Nix, place: Place, names: Sequence[str], keys: Sequence[PublicKey]) -> None:
    """Copies these paths from a cache, and no others, whatever it says they refer to: that is here or stands before.

    Nix checks the hashes and, where ``require-sigs`` is on, the keys' signatures.
    Raises Finding where a hash is wrong, MachineError where this user may not say which keys to trust.
    """
    trusted = " ".join(map(str, keys))
    words = ("--no-recursive", "--from", place.url, "--option", "extra-trusted-public-keys", trusted)
    for some in process.batches(map(whole, names)):
        try:
            _copy(here, "taken", *words, *some)
        except MachineError as error:
            raise explained(error, place, trusted) from None


def _copy(here: Nix, verb: str, *words: str) -> None:
    """``nix copy``, with how far it is on stderr. Raises MachineError with what Nix said when it fails."""
    for _ in range(_TRIES):
        try:
            return _copied(here, verb, *words)
        except MachineError as error:
            if _OVERTAKEN not in str(error):
                raise
        time.sleep(random.uniform(0, _PAUSE))  # noqa: S311 -- no secret
    return _copied(here, verb, *words)


def _copied(here: Nix, verb: str, *words: str) -> None:
    log, show = Log(), Counter(verb)
    shown = 0.0

    def tell(line: str) -> None:
        nonlocal shown
        log.feed(line)
        state = log.state()
        if state.to_fetch and time.monotonic() - shown > _EVERY:
            shown = time.monotonic()
            show(state.fetched, state.to_fetch, f"{size(state.done_bytes)} of {size(state.expected_bytes)}")

    command = here.command("nix", "copy", *FRESH, "--log-format", "internal-json", *words)
    result = process.follow(command, tell, missing=install.hint())
    state = log.state()
    if result.code != 0:
        said = "\n".join(log.errors or log.messages)
        raise MachineError.of("nix copy", f"ended with exit code {result.code}\n{said}".rstrip())
    if shown:
        show(state.to_fetch, state.to_fetch, size(state.done_bytes))


def explained(error: MachineError, place: Place, trusted: str) -> NixgenError:
    """What it means when Nix does not take a path."""
    if _unsigned(error):
        what = "Nix refuses its paths: this user may not add trusted keys"
        return MachineError.of(
            place.url, what, f"add to nix.conf of this machine: extra-trusted-public-keys = {trusted}"
        )
    found = next((line for line in str(error).splitlines() if "hash mismatch importing path" in line), None)
    if found is not None:
        mend = "do not trust the cache's host: its files were changed"
        return Finding.of(place.url, f"rewritten: {found.rpartition('error:')[2].strip()}", mend)
    return error


def _unsigned(error: MachineError) -> bool:
    text = str(error)
    return "cannot add path" in text and "signature" in text
