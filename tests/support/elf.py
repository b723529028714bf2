"""The few facts of an ELF file that tests ask for (System V ABI, "Dynamic Section"); 64 bits, little-endian."""

from __future__ import annotations

import struct

_DYNAMIC, _LOAD = 2, 1
_NEEDED, _STRTAB, _SONAME = 1, 5, 14


def needed(data: bytes) -> tuple[str, ...] | None:
    """The sonames that an ELF file with a dynamic section asks the loader for; None for any other file."""
    found = _dynamic(data)
    return None if found is None else found[0]


def soname(data: bytes) -> str | None:
    """The soname of a shared library, None where there is none."""
    found = _dynamic(data)
    return None if found is None else found[1]


def _dynamic(data: bytes) -> tuple[tuple[str, ...], str | None] | None:
    if data[:6] != b"\x7fELF\x02\x01":
        return None
    offset, size, count = *struct.unpack_from("<Q", data, 32), *struct.unpack_from("<HH", data, 54)
    headers = [struct.unpack_from("<IIQQQQQQ", data, offset + index * size) for index in range(count)]
    dynamic = next((header for header in headers if header[0] == _DYNAMIC), None)
    if dynamic is None:
        return None
    entries = [struct.unpack_from("<qQ", data, dynamic[2] + index * 16) for index in range(dynamic[5] // 16)]
    entries = entries[: entries.index((0, 0))] if (0, 0) in entries else entries
    table = next(value for tag, value in entries if tag == _STRTAB)
    names = next(
        table - address + start
        for kind, _, start, address, _, filesz, _, _ in headers
        if kind == _LOAD and address <= table < address + filesz
    )

    def text(at: int) -> str:
        return data[names + at : data.index(b"\0", names + at)].decode()

    own = [text(value) for tag, value in entries if tag == _SONAME]
    return tuple(text(value) for tag, value in entries if tag == _NEEDED), own[0] if own else None
