"""ELF files by their sections: which of them differ decides what is said."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixgen.check.explain.causes import causes
from nixgen.check.explain.elf import Section, sections

PARTS = {
    ".text": b"\x90\xc3" * 40,
    ".rodata": b"\x01constants\x02",
    ".comment": b"GCC 12\0",
    ".note.gnu.build-id": b"\x07" * 20,
}


def elf(changes: dict[str, bytes] | None = None, *, wide: bool = True, little: bool = True, lacking: str = "") -> bytes:
    """An ELF file of these sections, each in a place with room, so that a longer one moves nothing."""
    parts = {name: content for name, content in (PARTS | (changes or {})).items() if name != lacking}
    order, names, body, headers = "<" if little else ">", b"\0", b"", []
    start = 64 if wide else 52
    pattern = order + ("IIQQQQIIQQ" if wide else "IIIIIIIIII")
    headers.append(struct.pack(pattern, *[0] * 10))
    for name, content in parts.items():
        headers.append(struct.pack(pattern, len(names), 1, 0, 0, start + len(body), len(content), 0, 0, 1, 0))
        names += name.encode() + b"\0"
        body += content.ljust(256, b"\0")
    headers.append(struct.pack(pattern, len(names), 3, 0, 0, start + len(body), 256, 0, 0, 1, 0))
    body += (names + b".shstrtab\0").ljust(256, b"\0")
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if little else 2, 1]) + bytes(9)
    sizes = (start, 0, 0, len(headers[0]), len(headers), len(headers) - 1)
    fields = (3, 62, 1, 0, 0, start + len(body), 0, *sizes)
    return (
        ident + struct.pack(order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"), *fields) + body + b"".join(headers)
    )


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("little", [True, False])
def test_sections_of_each_class_and_order_of_bytes(*, wide: bool, little: bool) -> None:
    found = sections(elf(wide=wide, little=little))
    start = 64 if wide else 52
    assert found[1:3] == (Section(".text", start, 80), Section(".rodata", start + 256, 11))
    assert [section.name for section in found][3:] == [".comment", ".note.gnu.build-id", ".shstrtab"]


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        (
            {".text": b"\x91\xc3" * 40, ".note.gnu.build-id": b"\x08" * 20},
            "an ELF file that differs only in code (.text): another compiler, other options, or another processor",
        ),
        ({".note.gnu.build-id": b"\x08" * 20}, "an ELF file that differs only in its build ID"),
        (
            {".comment": b"GCC 13.2.0 of another one\0"},
            "an ELF file that differs only in the name of its compiler (.comment)",
        ),
        ({".text": b"\x91" * 9, ".rodata": b"\x05other\x06"}, "an ELF file that differs in .text, .rodata"),
    ],
)
def test_what_the_sections_tell(changes: dict[str, bytes], cause: str) -> None:
    assert causes(elf(), elf(changes))[0] == cause


def test_debug_information_alone() -> None:
    before, now = elf({".debug_info": b"\x01" * 9}), elf({".debug_info": b"\x02" * 9})
    assert causes(before, now)[0] == "an ELF file that differs only in symbols or debug information (.debug_info)"


def test_a_path_in_the_constants_is_told_too() -> None:
    before, now = (elf({".rodata": b"\x01%s\0" % path}) for path in (b"/build/a/b.c", b"/tmp/nix-build-x.drv-3/a/b.c"))
    assert causes(before, now) == (
        "an ELF file that differs in .rodata",
        "the path of the folder that it was built in: /tmp/nix-build-x.drv-3/a/b.c, /build/a/b.c expected",
    )


def test_other_sections() -> None:
    assert causes(elf(), elf(lacking=".comment")) == (
        "an ELF file with other sections: another compiler, other options, or stripped",
    )


def test_a_bit_in_the_code_is_damage_and_no_compiler() -> None:
    whole = elf()
    broken = whole[:70] + bytes([whole[70] ^ 4]) + whole[71:]
    assert causes(whole, broken) == ("one bit differs, at offset 70: the disk or the memory may be at fault",)


def test_a_table_too_far_away_is_none() -> None:
    """An address that Python itself cannot hold as a place in bytes."""
    whole = bytearray(elf())
    whole[47] = 128
    assert sections(bytes(whole)) == ()


@given(st.data())
def test_a_broken_table_is_no_crash(data: st.DataObject) -> None:
    whole = bytearray(elf())
    for _ in range(data.draw(st.integers(min_value=1, max_value=6))):
        whole[data.draw(st.integers(min_value=4, max_value=len(whole) - 1))] = data.draw(st.integers(0, 255))
    sections(bytes(whole))
    sections(bytes(whole[: data.draw(st.integers(min_value=0, max_value=len(whole)))]))
    causes(elf(), bytes(whole))
