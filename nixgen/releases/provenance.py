"""provenance.json of a version: the statement about its run, signed where a key is given, and what that proves."""

from __future__ import annotations

import hashlib
from pathlib import Path

from nixgen.errors import Finding, Problem, UserError
from nixgen.models import signing
from nixgen.models.signing import Signer
from nixgen.registry.checksums import LONGEST
from nixgen.registry.entry import Entry
from nixgen.registry.names import Ref
from nixgen.registry.publish import DOCUMENTS
from nixgen.registry.registry import Registry
from nixgen.registry.verify import published
from nixgen.runs import attest, statement
from nixgen.runs.finding import Found
from nixgen.runs.statement import Claim

NAME = "provenance.json"


def document(registry: Registry, ref: Ref, found: Found, key: Path | None, password: str | None) -> bytes:
    """The file of a version that is to be published.

    A signature is another one each time: what the version has, if it is published, over the same statement and with the
    same key, is taken as it is.
    """
    new = f"{attest.text(attest.made(found), key, sign=key is not None, password=password)}\n".encode()
    name = registry.model(ref.name)
    model = registry.state().models.get(name)
    if model and ref.version in model.versions:
        old = registry.files.read(f"{name}/{ref.version}/{NAME}", LONGEST)
        if old is not None and _alike(old, new):
            return old
    return new


def _alike(old: bytes, new: bytes) -> bool:
    try:
        was, is_now = signing.statement(old, NAME), signing.statement(new, NAME)
    except UserError:
        return False
    return was.document == is_now.document and (not is_now.signed or was.signer == is_now.signer)


def signed(registry: Registry, entry: Entry) -> str | None:
    """Who signed the statement about a version's run, by its own word; None where it is missing or not signed."""
    where = f"{entry.model}/{entry.version}/{NAME}"
    data = registry.files.read(where, LONGEST)
    try:
        found = signing.statement(data or b"", where)
    except UserError:
        return None
    return found.who if found.signed else None


def faults(registry: Registry, entry: Entry, signer: Signer) -> tuple[Problem, ...]:
    """Why ``signer`` did not sign the statement about a version's run and about its files; none if that is so.

    Raises UserError for a key that cannot be read, MachineError.
    """
    where = f"{entry.model}/{entry.version}/{NAME}"
    try:
        hashes = published(registry.files, entry)
        data = registry.files.read(where, LONGEST)
        if data is None or hashlib.sha256(data).hexdigest() != hashes.get(NAME):
            raise Finding.of(where, "is not there" if data is None else "is not the published one")
        claim = _claim(data, where, signer)
        if claim.outputs != {path: sha256 for path, sha256 in hashes.items() if path not in DOCUMENTS}:
            raise Finding.of(where, f"is signed, and about other files: those of run {claim.run}")
        if claim.run != entry.run:
            raise Finding.of(where, f"is signed, and about another run: {claim.run}, published was {entry.run}")
    except Finding as error:
        return tuple(error.problems)
    return ()


def _claim(data: bytes, name: str, signer: Signer) -> Claim:
    """What a signed statement about a run says. Raises Finding."""
    try:
        signing.statement(data, name)
    except UserError as error:
        raise Finding(error.problems) from None
    document = signing.verify_statement(data, name, signer)
    try:
        return statement.parse(document, name)
    except UserError as error:
        raise Finding(error.problems) from None
