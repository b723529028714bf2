"""Nix's base 32: its own alphabet, five bits a digit, the last byte first; and the hash in a store path's name."""

from __future__ import annotations

import hashlib

ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz"
_FOLDED = 20  # bytes of the hash in a store path


def encode(raw: bytes) -> str:
    """The digits of these bytes."""
    number = int.from_bytes(raw, "little")
    digits = (len(raw) * 8 + 4) // 5
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(digits)))


def decode(text: str) -> bytes:
    """What :func:`encode` has written. Raises ValueError for other digits, and for more bits than bytes hold."""
    number = 0
    for digit in text:
        number = number << 5 | ALPHABET.index(digit)
    try:
        return number.to_bytes(len(text) * 5 // 8, "little")
    except OverflowError:
        raise ValueError(f"no number of whole bytes: {text!r}") from None


def path_hash(description: str) -> str:
    """The hash of a store path: of the text that says what it is (Nix manual, "Store Path Specification")."""
    folded = bytearray(_FOLDED)
    for place, byte in enumerate(hashlib.sha256(description.encode()).digest()):
        folded[place % _FOLDED] ^= byte
    return encode(bytes(folded))
