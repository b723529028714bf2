"""The sections of an ELF file: which of them differ tells code, constants and debug information apart.

System V ABI, chapters 4 and 5 ("ELF Header", "Sections"). Pure functions over bytes; a file that is not well formed has
no sections.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from nixgen.check.explain.bytes import Bytes

_MOST = 4096  # sections; no real file has more
_NOBITS = 8  # SHT_NOBITS: no bytes in the file
_CODE = (".text", ".plt", ".init", ".fini")
_IDS = (".note.gnu.build-id", ".gnu_debuglink")
_DEBUG = (".debug", ".zdebug", ".stab", ".symtab", ".strtab")


@dataclass(frozen=True, slots=True)
class Section:
    """A section: its name, its place in the file and its size (0 where the file holds none of its bytes)."""

    name: str
    offset: int
    size: int


def sections(content: Bytes) -> tuple[Section, ...]:
    """The sections of an ELF file, in their order; empty where this is none, or one without a section table."""
    try:
        return _sections(content)
    except (struct.error, IndexError, OverflowError, ValueError):
        return ()


def _sections(content: Bytes) -> tuple[Section, ...]:
    ident = content[:16]
    if ident[:4] != b"\x7fELF" or ident[4] not in (1, 2) or ident[5] not in (1, 2):
        return ()
    wide, order = ident[4] == 2, "<" if ident[5] == 1 else ">"  # noqa: PLR2004 -- ELFCLASS64
    start = struct.unpack_from(order + ("Q" if wide else "I"), content, 40 if wide else 32)[0]
    entry, count, names_at = struct.unpack_from(order + "HHH", content, 58 if wide else 46)
    if not start or not 0 < count <= _MOST or names_at >= count:
        return ()
    pattern = order + ("IIQQQQ" if wide else "IIIIII")
    headers = [struct.unpack_from(pattern, content, start + place * entry) for place in range(count)]
    names = _bytes(content, headers[names_at][4], headers[names_at][5])
    return tuple(
        Section(_name(names, header[0]), header[4], 0 if header[1] == _NOBITS else header[5]) for header in headers
    )


def _bytes(content: Bytes, offset: int, size: int) -> bytes:
    if offset + size > len(content):
        raise ValueError("a section behind the file's end")
    return content[offset : offset + size]


def _name(names: bytes, at: int) -> str:
    return names[at : names.index(b"\0", at)].decode("utf-8", "replace")


def causes(expected: Bytes, found: Bytes) -> tuple[str, ...]:
    """What the sections that differ say about two ELF files; empty where one of them is none."""
    one, other = sections(expected), sections(found)
    if not one or not other:
        return ()
    if [section.name for section in one] != [section.name for section in other]:
        return ("an ELF file with other sections: another compiler, other options, or stripped",)
    try:
        changed = [
            left.name
            for left, right in zip(one, other, strict=True)
            if _bytes(expected, left.offset, left.size) != _bytes(found, right.offset, right.size)
        ]
    except ValueError:
        return ()
    return (_judged([name for name in changed if not name.startswith(_IDS)], changed),)


def _judged(said: list[str], changed: list[str]) -> str:
    """The sentence for the sections that differ; build IDs, which follow from the others, are left out of ``said``."""
    listed = ", ".join(said)
    if not changed:
        return "an ELF file whose sections are the same: only its headers, or what is between sections, differ"
    if not said:
        return "an ELF file that differs only in its build ID"
    if all(name.startswith(_CODE) for name in said):
        return (
            f"an ELF file that differs only in code ({listed}): another compiler, other options, or another processor"
        )
    if all(name.startswith(_DEBUG) for name in said):
        return f"an ELF file that differs only in symbols or debug information ({listed})"
    if said == [".comment"]:
        return "an ELF file that differs only in the name of its compiler (.comment)"
    return f"an ELF file that differs in {listed}"
