"""Nix's base 32: its own alphabet, five bits a digit, the last byte first; and the hash in a store path's name."""

from __future__ import annotations

import base64
import hashlib

ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz"
_AS_NIX = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", ALPHABET.encode())
_FOLDED = 20  # bytes of the hash in a store path


def encode(raw: bytes) -> str:
    """The digits of these bytes."""
    digits = (len(raw) * 8 + 4) // 5
    whole = bytes(-len(raw) % 5) + raw[::-1]  # a number of bytes that the usual base 32 does not fill up
    return base64.b32encode(whole).translate(_AS_NIX)[len(whole) * 8 // 5 - digits :].decode()


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
    whole = hashlib.sha256(description.encode()).digest()
    first, rest = int.from_bytes(whole[:_FOLDED]), int.from_bytes(whole[_FOLDED:].ljust(_FOLDED, b"\0"))
    return encode((first ^ rest).to_bytes(_FOLDED))
