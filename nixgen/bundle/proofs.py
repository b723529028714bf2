"""log.json: for each cache of the project with a log, the log's checkpoint, and a proof for each path that is in it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nixgen.bundle.model import Bundle
from nixgen.cache import place as places
from nixgen.cache.entry import Entry
from nixgen.check.model import ClosurePath
from nixgen.console import console
from nixgen.errors import Finding
from nixgen.lock import lockfile
from nixgen.log import merkle
from nixgen.log.checkpoint import Checkpoint
from nixgen.log.entry import EntryError
from nixgen.log.log import Log
from nixgen.log.note import NoteError, Verifier
from nixgen.log.stores.opening import open_storage

_AGAIN = "get the file again, from who made it"


def made(root: Path, paths: Mapping[str, ClosurePath]) -> bytes:
    """The bytes of log.json, b"" where no path is in a log. Raises LogFinding, MachineError."""
    lock = root / lockfile.NAME
    pins = lockfile.read_lock(lock).cache if lock.exists() else ()
    found = []
    for pin in pins:
        with console.step(f"reading the log of {pin.url}"):
            storage = open_storage(places.parse(pin.url, pin.log).log, own=False)
            found.append(proved(pin.url, Log.open(storage, pin.verifier, pin.checkpoint), paths))
    return dump(found)


def dump(logs: Iterable[Mapping[str, Any]]) -> bytes:
    """The file of these, b"" where none has an entry."""
    found = [log for log in logs if log["entries"]]
    return json.dumps(found, sort_keys=True, separators=(",", ":")).encode() + b"\n" if found else b""


def proved(url: str, log: Log, paths: Mapping[str, ClosurePath]) -> dict[str, Any]:
    """The proofs for those of the paths that are in a log. Raises LogFinding."""
    entries = {}
    for index, line in enumerate(log.lines()):
        name = _named(line)
        if name in paths and _same(line, paths[name]):
            entries[name] = (index, line)
    rows = {
        name: {
            "index": index,
            "line": line.decode(),
            "proof": [base64.b64encode(one).decode() for one in log.inclusion(index)],
        }
        for name, (index, line) in entries.items()
    }
    checkpoint = log.checkpoint()
    note = checkpoint.note if checkpoint is not None else ""
    return {"url": url, "key": str(log.verifier), "checkpoint": note, "entries": rows}


def logged(data: bytes, bundle: Bundle, name: str) -> frozenset[str]:
    """The paths that log.json proves to be in a log. ``name`` is the bundle's. Raises Finding for a wrong proof."""
    found = set()
    try:
        for log in json.loads(data):
            checkpoint = Checkpoint.opened(log["checkpoint"].encode(), Verifier.parse(log["key"]))
            for path, row in log["entries"].items():
                line, proof = row["line"].encode(), [base64.b64decode(one, validate=True) for one in row["proof"]]
                leaf = merkle.leaf_hash(line)
                if not _same(line, bundle.paths[path]) or not merkle.included(
                    row["index"], checkpoint.size, leaf, proof, checkpoint.root
                ):
                    raise Finding.of(f"{name}: {path}", f"has no proof for the log of {log['url']}", _AGAIN)
                found.add(path)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, NoteError) as error:
        raise Finding.of(f"{name}: log.json", f"has no proofs that can be read: {error}", _AGAIN) from None
    return frozenset(found)


def _named(line: bytes) -> str:
    return line.partition(b'"path":"')[2].partition(b'"')[0].decode("ascii", "replace")


def _same(line: bytes, path: ClosurePath) -> bool:
    """Whether a line of a log is about the path, with these bytes and references."""
    try:
        entry = Entry.parse(line)
    except EntryError:
        return False
    found = ClosurePath(entry.path, entry.nar_hash, entry.nar_size, entry.references)
    return found == path and not entry.conflict
