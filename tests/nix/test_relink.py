"""relink.py by itself: the programs of this machine, changed, still start, and ask for what they were given."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest
from builders import relink
from support import elf

LOADER = {"x86_64": b"/lib64/ld-linux-x86-64.so.2", "aarch64": b"/lib/ld-linux-aarch64.so.1"}[os.uname().machine]
PROGRAMS = [path for name in ("bash", "git", "grep", "ls", "perl") if (path := Path("/usr/bin", name)).is_file()]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_a_changed_program_starts_and_finds_its_libraries_where_it_was_told(program: Path, tmp_path: Path) -> None:
    """Twice, as the launcher is a changed copy of what was changed already; and a third time, to the same bytes."""
    before = program.read_bytes()
    made = relink.File(before)
    had = made.needed
    made.interpreter, made.rpath, made.needed = b"/nowhere/loader", ["/nowhere"], ["libz.so.1", *had]
    again = relink.File(made.write())
    assert (again.interpreter, again.rpath) == (b"/nowhere/loader", ["/nowhere"])
    again.interpreter, again.rpath = LOADER, [*again.rpath, "/elsewhere"]
    content = again.write()
    assert relink.File(content).write() == content
    assert relink.File(content).rpath == ["/nowhere", "/elsewhere"]
    assert elf.needed(content) == ("libz.so.1", *had)
    copy = tmp_path / program.name
    copy.write_bytes(content)
    copy.chmod(0o755)
    said = [subprocess.run([path, "--version"], capture_output=True, check=True).stdout for path in (program, copy)]
    assert said[0] == said[1]


def test_a_program_that_is_damaged_is_refused() -> None:
    """Whatever field of the header is spoilt, the answer is a sentence or other bytes, never another exception."""
    whole = (PROGRAMS[0]).read_bytes()
    offset = struct.unpack_from("<Q", whole, 32)[0]
    refused = 0
    for position in [*range(32, 64), *range(offset, offset + 13 * 56, 3)]:
        data = bytearray(whole)
        data[position] ^= 0xFF
        try:
            relink.File(bytes(data)).write()
        except relink.Unwritable as problem:
            refused += 1
            assert str(problem)  # noqa: PT017 -- most of these raise nothing
    assert refused > 10
    with pytest.raises(relink.Unwritable):
        relink.File(whole[:1000]).write()
