"""What can be wrong with a log, each with its proof: shortened, forked, replayed, damaged, not signed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nixgen.errors import Finding, Problem
from nixgen.log.checkpoint import Checkpoint, root_text

Kind = Literal["shortened", "forked", "replayed", "damaged", "unsigned"]


@dataclass(frozen=True, slots=True)
class Proof:
    """Two checkpoints that the log's key signed, and hashes that lead from one to the other, or to something else.

    ``known`` is what was recorded, ``found`` what is there now (None: nothing). ``hashes`` is the consistency proof
    (RFC 6962, 2.1.2) between their sizes that the log's tiles give, and ``leads_to`` the root that it gives for the
    smaller size.
    """

    known: Checkpoint
    found: Checkpoint | None
    hashes: tuple[bytes, ...] = ()
    leads_to: bytes | None = None

    def lines(self) -> tuple[str, ...]:
        """The proof for people, a fact a line."""
        told = [f"recorded: {self.known}", f"found now: {self.found or 'no checkpoint'}"]
        if self.leads_to is not None and self.found:
            told.append(f"root that the log's tiles give for {min(self.known.size, self.found.size)} entries:"
                        f" {root_text(self.leads_to)}")  # fmt: skip
        told += [f"hash {number} of the proof: {root_text(item)}" for number, item in enumerate(self.hashes, 1)]
        return tuple(told)


class LogFinding(Finding):
    """The log is not what it should be. ``kind`` says how, ``proof`` shows it where two checkpoints do."""

    def __init__(self, kind: Kind, problems: Sequence[Problem], proof: Proof | None = None) -> None:
        super().__init__(problems)
        self.kind: Kind = kind
        self.proof = proof


def shortened(where: str, proof: Proof) -> LogFinding:
    """Entries that were there are gone."""
    left = proof.found.size if proof.found else 0
    what = f"was shortened: it had {proof.known.size} entries, and has {left}"
    return _proven("shortened", where, what, proof)


def forked(where: str, proof: Proof) -> LogFinding:
    """Entries that were there are other ones now."""
    what = "was forked: the recorded checkpoint is of other entries than those that are there now"
    return _proven("forked", where, what, proof)


def replayed(where: str, proof: Proof) -> LogFinding:
    """The entries are there, and the checkpoint is an old one."""
    size = proof.found.size if proof.found else 0
    what = f"shows an old checkpoint again: it had {proof.known.size} entries, and the checkpoint says {size}"
    return _proven("replayed", where, what, proof)


def damaged(where: str, what: str) -> LogFinding:
    """Files of the log do not belong to its checkpoint, or are missing."""
    return LogFinding("damaged", [Problem(where, what, "the log cannot be trusted: ask its owner")])


def unsigned(where: str, what: str) -> LogFinding:
    """The checkpoint is no checkpoint, or the log's key did not sign it."""
    return LogFinding("unsigned", [Problem(where, what, "compare the log's key with the one that its owner gave you")])


def _proven(kind: Kind, where: str, what: str, proof: Proof) -> LogFinding:
    told = "\n".join(f"    {line}" for line in proof.lines())
    mend = "both checkpoints are signed by the log's key: show them to its owner, and use nothing of it"
    if proof.found is None:
        mend = "if it is a folder, see that it is mounted; else the log was removed: ask its owner"
    return LogFinding(kind, [Problem(where, f"{what}\n{told}", mend)], proof)
