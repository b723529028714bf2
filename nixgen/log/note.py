"""C2SP signed notes with Ed25519 (c2sp.org/signed-note), as Go's checksum database has them: texts, keys, signatures.

A key has a name; a log's is the log's origin. It has nothing to do with Nix's own keys.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Self

from nixgen.errors import UserError
from nixgen.machine import extras

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

LONGEST = 1 << 20  # bytes of a note; 16 signatures of the largest kind are 80 kB
_ED25519 = b"\x01"  # the signature type's identifier
_KEY = 32  # bytes of a public key and of a private one
_ID = 4  # bytes of a key's ID
_PRIVATE = "PRIVATE+KEY+"
_SIGNATURE = re.compile("— ([^ ]+) ([A-Za-z0-9+/]+=*)")


class NoteError(ValueError):
    """A text is no note, no key, or a note that the key did not sign. Its sentence begins with a verb."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key: ``name+hex of its ID+base64`` as text (a *vkey*)."""

    name: str
    key: bytes

    @classmethod
    def parse(cls, vkey: str) -> Self:
        """The key that this text is. Raises NoteError."""
        name, _, rest = vkey.partition("+")
        found = cls(name, _key(rest, "is not a verifier key"))
        if str(found) != vkey or not _is_name(name):
            raise NoteError("is not a verifier key: its ID does not belong to its name and key")
        return found

    @property
    def id(self) -> bytes:
        """The four bytes that tell the key in a signature."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.key).digest()[:_ID]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{_base64(_ED25519 + self.key)}"

    def signed(self, text: bytes, signature: bytes) -> bool:
        """Whether this key made this signature over this text."""
        try:
            from cryptography.exceptions import InvalidSignature
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        except ImportError:
            raise _missing() from None
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key; :meth:`secret` is its text, which begins with ``PRIVATE+KEY+``."""

    name: str
    seed: bytes = field(repr=False)

    @classmethod
    def generate(cls, name: str) -> Self:
        """A new key. Raises NoteError for a name that no key may have."""
        import secrets

        if not _is_name(name):
            raise NoteError("is not a key's name: it is empty, or has white space, control characters or a + in it")
        return cls(name, secrets.token_bytes(_KEY))

    @classmethod
    def parse(cls, text: str) -> Self:
        """The key that this text is. Raises NoteError, which does not repeat the text."""
        name, _, rest = text.removeprefix(_PRIVATE).partition("+")
        found = cls(name, _key(rest, "is not a private key of a log"))
        if not _is_name(name) or found.secret() != text:
            raise NoteError("is not a private key of a log: its ID does not belong to its name and key")
        return found

    def secret(self) -> str:
        """The key's text, for a file that only its owner reads."""
        return f"{_PRIVATE}{self.name}+{self.verifier.id.hex()}+{_base64(_ED25519 + self.seed)}"

    @property
    def verifier(self) -> Verifier:
        """The public key."""
        return Verifier(self.name, self._private().public_key().public_bytes_raw())

    def sign(self, text: str) -> str:
        """The note: ``text``, which ends with a newline, and this key's signature. The same bytes every time."""
        signature = self._private().sign(text.encode())
        return f"{text}\n— {self.name} {_base64(self.verifier.id + signature)}\n"

    def _private(self) -> Ed25519PrivateKey:
        try:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        except ImportError:
            raise _missing() from None
        return Ed25519PrivateKey.from_private_bytes(self.seed)


@dataclass(frozen=True, slots=True)
class Note:
    """A note as it is written: its text, with the newline at its end, and (name, ID, signature) of each signature."""

    text: str
    signatures: tuple[tuple[str, bytes, bytes], ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The note that these bytes are; its signatures are not looked at. Raises NoteError."""
        if len(data) > LONGEST:
            raise NoteError("is not a note: it is too long")
        try:
            whole = data.decode()
        except UnicodeDecodeError:
            raise NoteError("is not a note: it is not UTF-8 text") from None
        if re.search(r"[\x00-\x09\x0b-\x1f]", whole):
            raise NoteError("is not a note: it has control characters")
        text, empty, lines = whole.rpartition("\n\n")
        if not empty or not lines.endswith("\n"):
            raise NoteError("is not a note: no signature follows its text")
        return cls(f"{text}\n", tuple(_signature(line) for line in lines[:-1].split("\n")))

    def verified(self, verifier: Verifier) -> str:
        """The text, when ``verifier`` signed it; others' signatures are ignored. Raises NoteError."""
        for name, key, signature in self.signatures:
            if (name, key) == (verifier.name, verifier.id):
                if verifier.signed(self.text.encode(), signature):
                    return self.text
                raise NoteError(f"has a wrong signature by {verifier.name}+{verifier.id.hex()}")
        raise NoteError(f"is not signed by {verifier.name}+{verifier.id.hex()}")


def _signature(line: str) -> tuple[str, bytes, bytes]:
    matched = _SIGNATURE.fullmatch(line)
    data = _decoded(matched[2]) if matched and _is_name(matched[1]) else None
    if matched is None or data is None or len(data) <= _ID:
        raise NoteError("is not a note: a line of its signatures is none")
    return matched[1], data[:_ID], data[_ID:]


def _key(text: str, what: str) -> bytes:
    """The key behind ``ID+base64``; whether the ID is right is for the caller to check."""
    data = _decoded(text.partition("+")[2])
    if data is None or len(data) != 1 + _KEY or data[:1] != _ED25519:
        raise NoteError(
            f"{what}: it should be a name, eight hexadecimal digits and an Ed25519 key, with + between them"
        )
    return data[1:]


def _is_name(name: str) -> bool:
    return bool(name) and not any(letter.isspace() or letter == "+" or letter < " " for letter in name)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decoded(text: str) -> bytes | None:
    """Base64 in its one form (RFC 4648, section 3.5), so that a text has no second writing."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if _base64(data) == text else None


def _missing() -> UserError:
    what = "the log of a cache or registry needs the library cryptography, which is not here"
    return UserError.of("", what, extras.install("cache"))
