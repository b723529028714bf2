"""Checkpoints: what a log was at one time, signed (c2sp.org/tlog-checkpoint)."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Self

from nixgen.log.note import Note, NoteError, Signer, Verifier

_TEXT = re.compile(r"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=)\n((?:[^\n]+\n)*)")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's size (entries) and root hash. ``note`` is the whole signed text, and does not count when comparing."""

    origin: str
    size: int
    root: bytes
    note: str = field(compare=False)

    @classmethod
    def opened(cls, data: bytes, verifier: Verifier) -> Self:
        """The checkpoint, signed by the log's key. Raises NoteError with a sentence that begins with a verb."""
        note = Note.parse(data)
        found = cls._of(note.verified(verifier), data)
        if found.origin != verifier.name:
            raise NoteError(f'is a checkpoint of "{found.origin}", not of "{verifier.name}"')
        return found

    @classmethod
    def unverified(cls, data: bytes) -> Self:
        """The checkpoint, whoever signed it. Raises NoteError."""
        return cls._of(Note.parse(data).text, data)

    @classmethod
    def signed(cls, signer: Signer, size: int, root: bytes) -> Self:
        """A new checkpoint of the log whose key this is."""
        return cls(signer.name, size, root, signer.sign(body(signer.name, size, root)))

    @classmethod
    def _of(cls, text: str, data: bytes) -> Self:
        matched = _TEXT.fullmatch(text)
        if matched is None:
            raise NoteError("is not a checkpoint: it should be an origin, a size and a root hash, one a line")
        return cls(matched[1], int(matched[2]), base64.b64decode(matched[3]), data.decode())

    def __str__(self) -> str:
        return f"{self.size} entries, root {root_text(self.root)}"


def body(origin: str, size: int, root: bytes) -> str:
    """The text that is signed."""
    return f"{origin}\n{size}\n{root_text(root)}\n"


def root_text(root: bytes) -> str:
    """A hash as checkpoints have it: base64."""
    return base64.b64encode(root).decode("ascii")
