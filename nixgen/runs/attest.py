"""A run's statement as a file: made of its record, signed if asked for, and checked against the outputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nixgen.console import console
from nixgen.errors import Finding, Problem, UserError
from nixgen.machine import files
from nixgen.models import signing
from nixgen.models.signing import Signer
from nixgen.runs import outputs, reproductions, statement
from nixgen.runs.finding import Found
from nixgen.runs.statement import Claim


def made(found: Found) -> dict[str, Any]:
    """The statement about a recorded run. Raises UserError."""
    return statement.statement(found.run, reproductions.digest(found.folder))


def text(document: Mapping[str, Any], key: Path | None, *, sign: bool, password: str | None = None) -> str:
    """A statement's file; with ``sign``, the sigstore bundle that has it, as of :func:`signing.sign_statement`."""
    return signing.sign_statement(document, key, password=password) if sign else statement.text(document)


def verified(file: Path, signer: Signer) -> Claim:
    """What the statement about a run says that ``signer`` signed. Raises Finding, UserError, MachineError."""
    try:
        data = files.contents(file)
    except OSError as error:
        mend = "name a file that nixgen runs export wrote"
        raise UserError.of(str(file), f"cannot be read: {error.strerror}", mend) from None
    return statement.parse(signing.verify_statement(data, str(file), signer), str(file))


def compare(claim: Claim, folder: Path) -> None:
    """Compares the files in ``folder`` with a statement's outputs. Raises Finding."""
    wanted = {folder / name: (name, sha256) for name, sha256 in claim.outputs.items()}
    with console.step(f"hashing {len(wanted)} files"):
        found, failed = outputs.hashed(wanted)
    problems = []
    for place, (name, sha256) in wanted.items():
        if place in failed:
            problems.append(Problem(name, f"cannot be read: {failed[place]}", "name the folder of the outputs: --path"))
        elif found[place].sha256 != sha256:
            what = f"is not what run {claim.run} made: SHA-256 {found[place].sha256}, the statement has {sha256}"
            problems.append(Problem(name, what))
    if problems:
        raise Finding(problems)
