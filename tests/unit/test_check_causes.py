"""What the bytes of two files give away: each cause from bytes that have it, and none from bytes that have not."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import marshal
import random
import struct
import tarfile
import zipfile
from importlib.util import MAGIC_NUMBER
from types import CodeType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixgen.check.explain.bytes import first_difference, zeros
from nixgen.check.explain.causes import MOST, bytes_at, causes, detail

THEN, NOW = 1_732_186_680, 1_732_190_000
THEN_TEXT, NOW_TEXT = "2024-11-21 10:58:00 UTC", "2024-11-21 11:53:20 UTC"


@pytest.mark.parametrize(
    ("expected", "found", "cause"),
    [
        (
            b"Thu Nov 21 10:58:00 UTC 2024\n",
            b"Thu Nov 21 11:53:20 UTC 2024\n",
            "a time: Thu Nov 21 11:53:20 UTC 2024, Thu Nov 21 10:58:00 UTC 2024 expected (line 1)",
        ),
        (
            b"made\nat 2024-11-21T10:58:00+01:00.\n",
            b"made\nat 2024-11-21T11:53:20+01:00.\n",
            "a time: 2024-11-21T11:53:20+01:00, 2024-11-21T10:58:00+01:00 expected (line 2)",
        ),
        (
            b"Date: Thu, 21 Nov 2024 10:58:00 +0000",
            b"Date: Thu, 21 Nov 2024 11:53:20 +0000",
            "a time: Thu, 21 Nov 2024 11:53:20 +0000, Thu, 21 Nov 2024 10:58:00 +0000 expected (line 1)",
        ),
        (b"__DATE__ Nov 21 2024", b"__DATE__ Nov 22 2024", "a time: Nov 22 2024, Nov 21 2024 expected (line 1)"),
        (b"built 10:58:00", b"built 11:53:20", "a time: 11:53:20, 10:58:00 expected (line 1)"),
        (
            b"/CreationDate (D:20241121105800)",
            b"/CreationDate (D:20241121115320)",
            "a time: D:20241121115320, D:20241121105800 expected (line 1)",
        ),
        (b"%d\n" % THEN, b"%d\n" % NOW, f"a time, in seconds since 1970: {NOW}, {THEN} expected (line 1)"),
        (
            b"t=%d.25" % THEN,
            b"t=%d.5" % NOW,
            f"a time, in seconds since 1970: {NOW}.5, {THEN}.25 expected (line 1)",
        ),
        (
            b"in /build/demo",
            b"in /tmp/nix-build-demo.drv-0/demo",
            "the path of the folder that it was built in: "
            "/tmp/nix-build-demo.drv-0/demo, /build/demo expected (line 1)",
        ),
        (
            b"in /nix/var/nix/builds/nix-1-2/build.",
            b"in /nix/var/nix/builds/nix-3-4/build.",
            "the path of the folder that it was built in: "
            "/nix/var/nix/builds/nix-3-4/build., /nix/var/nix/builds/nix-1-2/build. expected (line 1)",
        ),
        (
            b"cc /tmp/ccAbCdEf.o",
            b"cc /tmp/ccXyZaBc.o",
            "the name of a temporary file: /tmp/ccXyZaBc.o, /tmp/ccAbCdEf.o expected (line 1)",
        ),
        (
            b"x=/home/ada/src",
            b"x=/home/bob/src",
            "a path in somebody's home: /home/bob/src, /home/ada/src expected (line 1)",
        ),
        (
            b"id 3f2504e0-4f89-11d3-9a0c-0305e82c3301",
            b"id 9b2504e0-4f89-11d3-9a0c-0305e82c3302",
            "a random UUID: 9b2504e0-4f89-11d3-9a0c-0305e82c3302, "
            "3f2504e0-4f89-11d3-9a0c-0305e82c3301 expected (line 1)",
        ),
        (b"cores: 2\n", b"cores: 8\n", "a count of cores or jobs: cores: 8, cores: 2 expected (line 1)"),
        (b"make -j2 all", b"make -j16 all", "a count of cores or jobs: -j16, -j2 expected (line 1)"),
        (
            b"<f at 0x7f3a00001000>",
            b"<f at 0x7f3b00002000>",
            "an address in memory: 0x7f3b00002000, 0x7f3a00001000 expected (line 1)",
        ),
        (b"one\ntwo\nthree\n", b"three\none\ntwo\n", "the same 3 lines in another order"),
        (b"S = {'a', 'b', 'c'}\n", b"S = {'c', 'b', 'a'}\n", "the same values in another order (line 1)"),
        (b"libs: x y z\n", b"libs: z x y\n", "the same words in another order (line 1)"),
        (b"one\r\ntwo\r\n", b"one\ntwo\n", "only the ends of lines differ (CRLF and LF)"),
        (
            b'{"a": 1, "b": 2}',
            b'{"b": 2, "a": 1}',
            "the same JSON value, with its keys in another order or other white space",
        ),
        (b"content", b"", "it is empty: a full disk, or a machine that went down before it was written"),
        (
            b"ab" * 1000,
            b"ab" * 500,
            "it ends too early: a full disk, or a machine that went down before it was written",
        ),
        (
            b"ab" * 4096,
            b"ab" * 100 + bytes(4096) + b"ab" * 1948,
            "4096 bytes from offset 200 are zeros: the disk, or a machine that went down",
        ),
        (
            b"hello, world",
            b"hello, wozld"[:9] + b"z" + b"ld",
            "one bit differs, at offset 9: the disk or the memory may be at fault",
        ),
    ],
)
def test_each_cause_is_told(expected: bytes, found: bytes, cause: str) -> None:
    assert causes(expected, found)[0] == cause


def test_a_number_alone_is_the_cores_only_when_the_build_was_given_so_many() -> None:
    assert causes(b"2\n", b"3\n", cores=3) == ("the number of cores that the build was given: 3, 2 expected (line 1)",)
    assert causes(b"2\n", b"3\n", cores=4) == ()


def test_numbers_that_are_no_times_are_not_told_as_times() -> None:
    assert causes(b"x = 9999999999\n", b"x = 1732186680\n") == ()
    assert causes(b"x = 1300000000\n", b"x = 1732186680\n") == ()


def test_a_path_with_a_date_is_told_once() -> None:
    before, now = b"/tmp/nix-build-x.drv-0/2024-11-21", b"/tmp/nix-build-x.drv-1/2024-11-22"
    assert causes(before, now) == (
        f"the path of the folder that it was built in: {now.decode()}, {before.decode()} expected (line 1)",
    )


def test_each_kind_of_cause_is_told_once_and_not_too_many() -> None:
    lines = [b"at 2024-11-21 10:58:%02d" % second for second in range(10, 40)]
    others = [b"at 2024-11-22 10:58:%02d" % second for second in range(10, 40)]
    assert len(causes(b"\n".join(lines), b"\n".join(others))) == 1
    assert len(causes(_many(0), _many(1))) <= MOST


def _many(build: int) -> bytes:
    rng = random.Random(build)
    return b"\n".join(
        (
            b"/tmp/nix-build-x.drv-%d/" % build,
            b"%d" % (THEN + build),
            b"cores %d" % (2 + build),
            b"/home/user%d" % build,
            b"0x%012x" % rng.getrandbits(44),
            b"10:58:0%d" % build,
        )
    )


def pyc(flags: int, first: int, second: int, code: Any, magic: bytes = MAGIC_NUMBER) -> bytes:
    """A .pyc with this header (PEP 552)."""
    return magic + struct.pack("<III", flags, first, second) + marshal.dumps(code)


def code_of(path: str) -> CodeType:
    return compile("X = 1\n", path, "exec")


class TestByteCode:
    def test_times(self) -> None:
        code = code_of("a.py")
        assert causes(pyc(0, THEN, 6, code), pyc(0, NOW, 6, code)) == (
            f"byte code with the time of its source in the header: {NOW_TEXT}, {THEN_TEXT} expected; "
            "write unchecked hash-based byte code (PEP 552)",
        )

    def test_a_time_on_one_side(self) -> None:
        code = code_of("a.py")
        assert causes(pyc(1, 5, 6, code), pyc(0, NOW, 6, code)) == (
            "byte code whose header has the time of its source on one side only (found); "
            "write unchecked hash-based byte code (PEP 552)",
        )

    def test_another_python(self) -> None:
        other = struct.pack("<H", struct.unpack("<H", MAGIC_NUMBER[:2])[0] + 30) + MAGIC_NUMBER[2:]
        (said,) = causes(pyc(1, 1, 2, None), pyc(1, 1, 2, None, magic=other))
        assert said.startswith("byte code of another version of Python (magic number ")

    def test_another_source(self) -> None:
        code = code_of("a.py")
        assert causes(pyc(1, 1, 2, code), pyc(1, 7, 2, code)) == (
            "byte code of another source: its header has another hash of it",
        )

    def test_checked_or_not(self) -> None:
        code = code_of("a.py")
        assert causes(pyc(1, 7, 2, code), pyc(3, 7, 2, code)) == (
            "byte code that is to be checked against its source, or not to be, other than expected",
        )

    def test_an_embedded_build_path(self) -> None:
        found = causes(pyc(1, 7, 2, code_of("/build/p/a.py")), pyc(1, 7, 2, code_of("/tmp/nix-build-x.drv-1/p/a.py")))
        assert found == (
            "byte code that holds the path of the folder that it was built in: "
            "/tmp/nix-build-x.drv-1/p/a.py, /build/p/a.py expected",
        )

    def test_sets_in_another_order(self) -> None:
        one, other = ("alpha", "beta", "gamma"), ("gamma", "alpha", "beta")
        said = causes(pyc(1, 7, 2, list(one)), pyc(1, 7, 2, list(other)))
        assert said[0] == (
            "the same byte code with constants in another order: sets, whose order follows PYTHONHASHSEED"
        )

    def test_marks_of_marshal(self) -> None:
        one = pyc(1, 7, 2, ["text", "and more of it"])
        changed = bytearray(one)
        for at in (16, one.index(b"and more") - 2):
            changed[at] ^= 0x80
        other = bytes(changed)
        assert causes(one, other) == (
            "the same byte code: only marks of marshal differ, which depend on what else the compiler had in memory",
        )


def zipped(*members: tuple[str, bytes, int]) -> bytes:
    """A ZIP archive of (name, content, day of the month)."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, day in members:
            archive.writestr(zipfile.ZipInfo(name, (2024, 11, day, 10, 58, 0)), content)
    return file.getvalue()


def tarred(*members: tuple[str, bytes, int, int]) -> bytes:
    """A tar archive of (name, content, time, user)."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content, time, user in members:
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.uid = len(content), time, user
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def library(*members: tuple[str, bytes, int]) -> bytes:
    """A static library of (name, content, time)."""
    made = b"!<arch>\n"
    for name, content, time in members:
        made += f"{name:<16}{time:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode() + content
        made += b"\n" * (len(content) % 2)
    return made


class TestArchives:
    def test_times_in_a_zip(self) -> None:
        assert causes(zipped(("a", b"x", 21), ("b", b"y", 21)), zipped(("a", b"x", 22), ("b", b"y", 22))) == (
            "a ZIP archive that holds the time of a, b: 2024-11-22 10:58:00, 2024-11-21 10:58:00 expected",
        )

    def test_another_order_in_a_zip(self) -> None:
        assert causes(zipped(("a", b"x", 1), ("b", b"y", 1)), zipped(("b", b"y", 1), ("a", b"x", 1))) == (
            "a ZIP archive with its members in another order",
        )

    def test_members_of_a_zip(self) -> None:
        assert causes(
            zipped(("a", b"x", 1), ("b", b"y", 1), ("c", b"z", 1)),
            zipped(("a", b"X", 1), ("c", b"z", 1), ("d", b"w", 1)),
        ) == (
            "a ZIP archive that lacks b",
            "a ZIP archive with d, not expected",
            "a ZIP archive with other content in a",
        )

    def test_another_owner_and_time_in_a_tar(self) -> None:
        assert causes(tarred(("a", b"x", THEN, 0)), tarred(("a", b"x", NOW, 1000))) == (
            f"a tar archive that holds the time of a: {NOW_TEXT}, {THEN_TEXT} expected",
            "a tar archive that notes another mode, owner or system for a",
        )

    def test_times_in_a_static_library(self) -> None:
        assert causes(library(("a.o/", b"code", THEN)), library(("a.o/", b"code", NOW))) == (
            f"a static library that holds the time of a.o/: {NOW_TEXT}, {THEN_TEXT} expected",
        )

    def test_gzip_with_a_time(self) -> None:
        assert causes(gzip.compress(b"x" * 99, mtime=THEN), gzip.compress(b"x" * 99, mtime=NOW)) == (
            f"gzip's header holds a time: {NOW_TEXT}, {THEN_TEXT} expected; use gzip --no-name",
        )

    def test_gzip_packed_differently(self) -> None:
        data = bytes(random.Random(1).choices(b"abcd", k=5000))
        assert causes(gzip.compress(data, 1, mtime=0), gzip.compress(data, 9, mtime=0)) == (
            "the same content, compressed differently",
        )

    @pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
    def test_what_is_compressed(self, compress: object) -> None:
        assert callable(compress)
        options = {"mtime": 0} if compress is gzip.compress else {}
        said = causes(compress(b"on 2024-11-21\n", **options), compress(b"on 2024-11-22\n", **options))
        assert said == ("in the compressed content: a time: 2024-11-22, 2024-11-21 expected (line 1)",)

    def test_times_in_a_tar_in_a_gzip(self) -> None:
        before, now = (gzip.compress(tarred(("a", b"x", time, 0)), mtime=0) for time in (THEN, NOW))
        assert causes(before, now) == (
            f"in the compressed content: a tar archive that holds the time of a: {NOW_TEXT}, {THEN_TEXT} expected",
        )

    def test_a_broken_archive_is_no_archive(self) -> None:
        whole = zipped(("a", b"x" * 100, 1))
        assert causes(whole, whole[:40] + b"broken" + whole[50:]) == ()


class TestTimesInBinaries:
    def test_four_bytes(self) -> None:
        said = causes(
            b"\xff\x00header" + struct.pack("<I", THEN) + b"\x80" * 9,
            b"\xff\x00header" + struct.pack("<I", NOW) + b"\x80" * 9,
        )
        assert said == (f"perhaps a time, 4 bytes at offset 8: {NOW_TEXT}, {THEN_TEXT} expected",)

    def test_strings_in_binaries(self) -> None:
        before, now = (
            b"\x00\x01\xff%s\x00rest\x00" % path for path in (b"/build/x/y.c", b"/tmp/nix-build-q.drv-0/x/y.c")
        )
        assert causes(before, now) == (
            "the path of the folder that it was built in: /tmp/nix-build-q.drv-0/x/y.c, /build/x/y.c expected",
        )


class TestDetail:
    def test_sizes_and_the_first_place(self) -> None:
        assert detail(b"abcdef", b"abXdef") == "6 bytes; first difference at offset 2"
        assert detail(b"abc", b"abcdef") == "6 bytes, 3 expected; first difference at offset 3"

    def test_the_bytes(self) -> None:
        assert bytes_at(b"abc", b"ab\nxyz") == "0a 78 79 7a |.xyz|, 63 |c| expected"
        assert bytes_at(b"ab", b"abc") == "63 |c|, the end expected"


@given(st.binary(max_size=400), st.binary(max_size=400))
def test_any_bytes_have_some_sentences_or_none(expected: bytes, found: bytes) -> None:
    said = causes(expected, found)
    assert len(said) <= MOST
    assert all(sentence == sentence.strip() and sentence for sentence in said)
    if expected == found:
        assert said == ()


HEADS = (
    b"PK\x03\x04",
    b"\x7fELF\x02\x01\x01",
    b"!<arch>\n",
    b"\x1f\x8b\x08\x00",
    b"BZh9",
    b"\xfd7zXZ\x00",
    MAGIC_NUMBER + b"\0" * 12,
)


@given(st.sampled_from(HEADS), st.binary(max_size=300), st.binary(max_size=300))
def test_no_broken_file_of_a_known_format_is_a_crash(head: bytes, expected: bytes, found: bytes) -> None:
    assert len(causes(head + expected, head + found)) <= MOST


@given(
    st.lists(st.text(st.characters(codec="ascii", categories=["L"]), min_size=1), min_size=2, unique=True),
    st.randoms(),
)
def test_lines_in_any_other_order_are_told(lines: list[str], rng: random.Random) -> None:
    other = lines[:]
    rng.shuffle(other)
    if other == lines:
        other = other[::-1]
    before, now = ("".join(f"{line}\n" for line in some).encode() for some in (lines, other))
    assert causes(before, now) == (f"the same {len(lines)} lines in another order",)


@given(
    st.dictionaries(st.text(max_size=5), st.integers(), min_size=2),
    st.integers(min_value=0, max_value=4),
)
def test_json_in_another_form_is_told(value: dict[str, int], indent: int) -> None:
    before = json.dumps(value).encode()
    now = json.dumps(dict(reversed(value.items())), indent=indent).encode()
    assert causes(before, now) == ("the same JSON value, with its keys in another order or other white space",)


@given(st.binary(min_size=64, max_size=2000), st.data())
def test_a_bit_that_fell_over_is_told_with_its_place(content: bytes, data: st.DataObject) -> None:
    content = b"\x00\xfe" + content  # no text
    at = data.draw(st.integers(min_value=2, max_value=len(content) - 1))
    bit = data.draw(st.integers(min_value=0, max_value=7))
    found = content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]
    digits = chr(content[at]).isdigit() and chr(found[at]).isdigit()
    if not digits:
        said = causes(content, found)
        assert (
            said == (f"one bit differs, at offset {at}: the disk or the memory may be at fault",) or " time" in said[0]
        )


@given(st.integers(min_value=1_300_000_000, max_value=1_900_000_000), st.integers(min_value=2, max_value=10**7))
def test_seconds_since_1970_are_told_wherever_they_are(then: int, later: int) -> None:
    said = causes(b"stamp=%d;" % then, b"stamp=%d;" % (then + later))
    assert said == (f"a time, in seconds since 1970: {then + later}, {then} expected (line 1)",)


def test_zeros_and_differences_behind_an_offset() -> None:
    content = b"x" * 100_000 + bytes(70_000) + b"y"
    assert zeros(content, 100_000) == 70_000
    assert zeros(content, 0) == 0
    assert zeros(bytes(70_000), 10) == 69_990
    assert first_difference(content, b"z" + content[1:-1] + b"z", 1) == len(content) - 1


def test_long_lines_are_looked_at_where_they_differ() -> None:
    before, now = (b"x" * 100_000 + b" on %d-11-21 " % year + b"y" * 100_000 for year in (2023, 2024))
    assert causes(before, now) == ("a time: 2024-11-21, 2023-11-21 expected (line 1)",)
