"""The words of a Nix Archive, as bytes (Nix manual, "Nix Archive (NAR) format")."""

from __future__ import annotations

import struct


def packed(*values: bytes) -> bytes:
    """Strings, each as its length in 8 bytes, little-endian, the bytes, and zeros up to a multiple of 8."""
    return b"".join(length(len(value)) + value + bytes(-len(value) % 8) for value in values)


length = struct.Struct("<Q").pack
MAGIC = packed(b"nix-archive-1")
REGULAR = packed(b"(", b"type", b"regular", b"contents")
EXECUTABLE = packed(b"(", b"type", b"regular", b"executable", b"", b"contents")
SYMLINK = packed(b"(", b"type", b"symlink", b"target")
DIRECTORY = packed(b"(", b"type", b"directory")
ENTRY, NODE, CLOSE = packed(b"entry", b"(", b"name"), packed(b"node"), packed(b")")
