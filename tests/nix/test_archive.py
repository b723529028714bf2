"""nix/builders/wheel/archive.py against the standard library's zipfile: same members and bytes; and what it refuses."""

from __future__ import annotations

import ctypes.util
import io
import struct
import tempfile
import zipfile
from collections.abc import Mapping
from typing import Any

import pytest
from builders import archive
from hypothesis import given, settings
from hypothesis import strategies as st

NOT_ONE = "not a ZIP archive"
OUTSIDE = "the member {!r} would be written outside the wheel's own folder"

part = st.text(
    st.characters(codec="utf-8", min_codepoint=32, exclude_characters="/\\\x7f"), min_size=1, max_size=8
).filter(lambda text: text not in {".", ".."})
names = st.lists(part, min_size=1, max_size=4).map("/".join)
contents = st.dictionaries(names, st.binary(max_size=300), max_size=6).filter(
    lambda files: not any(f"{name}/".startswith(f"{other}/") for name in files for other in files if name != other)
)


def packed(files: Mapping[str, bytes], *, method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as target:
        target.comment = comment
        for name, content in files.items():
            target.writestr(name, content)
    return buffer.getvalue()


def opened(data: bytes, library: str = "") -> Any:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return archive.Archive(file.name, library)


def refused(data: bytes) -> tuple[str, ...]:
    """What is wrong with an archive, whether it shows in the directory or in a member."""
    try:
        found = opened(data)
        for name in found.members:
            found.read(name)
    except archive.Damaged as damage:
        return tuple(damage.problems)
    pytest.fail("it was read")


@given(contents, st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]), st.binary(max_size=40))
def test_the_same_members_and_bytes_as_zipfile(files: dict[str, bytes], method: int, comment: bytes) -> None:
    data = packed(files, method=method, comment=comment.replace(b"PK", b"--"))
    with zipfile.ZipFile(io.BytesIO(data)) as standard:
        expected = {entry.filename: standard.read(entry) for entry in standard.infolist()}
    found = opened(data)
    assert {name: bytes(found.read(name)) for name in found.members} == expected == files


@given(contents, st.data())
@settings(max_examples=3 * settings().max_examples)
def test_a_changed_byte_gives_the_same_files_or_a_sentence(files: dict[str, bytes], choice: st.DataObject) -> None:
    """Never another exception: a damaged archive is told, and is not a crash."""
    data = bytearray(packed(files))
    place = choice.draw(st.integers(0, len(data) - 1))
    data[place] ^= choice.draw(st.integers(1, 255))
    try:
        found = opened(bytes(data))
        for name in found.members:
            found.read(name)
    except archive.Damaged as damage:
        problems = damage.problems
        assert problems, "a refusal says why"


@given(contents.filter(bool), st.data())
def test_a_truncated_archive_is_refused(files: dict[str, bytes], choice: st.DataObject) -> None:
    data = packed(files)
    assert refused(data[: choice.draw(st.integers(0, len(data) - 1))])


def test_folders_are_left_out_and_programs_are_known() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        target.mkdir("folder")
        for name, mode in (("folder/program", 0o100755), ("folder/data", 0o100644), ("none", 0)):
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            target.writestr(entry, b"x")
    members = opened(buffer.getvalue()).members
    assert {name: member.executable for name, member in members.items()} == {
        "folder/program": True, "folder/data": False, "none": False,
    }  # fmt: skip


class Unseekable(io.RawIOBase):
    """A pipe: zipfile then writes sizes behind the data, and ZIP64 records where it must."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += bytes(data)
        return len(data)


def test_sizes_behind_the_data() -> None:
    target = Unseekable()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as writer:
        writer.writestr("streamed", b"abc" * 1000)
    assert bytes(opened(bytes(target.data)).read("streamed")) == b"abc" * 1000


def test_zip64_sizes_in_the_extra_field() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target, target.open(zipfile.ZipInfo("wide"), "w", force_zip64=True) as member:
        member.write(b"wide")
    assert bytes(opened(buffer.getvalue()).read("wide")) == b"wide"


def zip64(data: bytes) -> bytes:
    """The same archive with every 32-bit value moved into ZIP64 records (APPNOTE 4.3.14, 4.3.15, 4.5.3)."""
    end = data.rfind(b"PK\x05\x06")
    count, _, offset = struct.unpack_from("<HII", data, end + 10)
    directory, where = b"", offset
    for _ in range(count):
        head = bytearray(data[where : where + 46])
        size, full = struct.unpack_from("<II", head, 20)
        name_size, extra_size, comment_size = struct.unpack_from("<HHH", head, 28)
        (start,) = struct.unpack_from("<I", head, 42)
        name = data[where + 46 : where + 46 + name_size]
        other = struct.pack("<HH4s", 0x5455, 4, b"time")
        extra = other + struct.pack("<HHQQQ", 1, 24, full, size, start)
        struct.pack_into("<II", head, 20, 0xFFFFFFFF, 0xFFFFFFFF)
        struct.pack_into("<HHH", head, 28, name_size, len(extra), 0)
        struct.pack_into("<I", head, 42, 0xFFFFFFFF)
        directory += bytes(head) + name + extra
        where += 46 + name_size + extra_size + comment_size
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, len(directory), offset)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, offset + len(directory), 1)
    tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return data[:offset] + directory + record + locator + tail


@given(contents)
def test_a_zip64_archive_is_read_as_zipfile_reads_it(files: dict[str, bytes]) -> None:
    data = zip64(packed(files))
    with zipfile.ZipFile(io.BytesIO(data)) as standard:
        assert {entry.filename: standard.read(entry) for entry in standard.infolist()} == files
    found = opened(data)
    assert {name: bytes(found.read(name)) for name in found.members} == files


def test_a_zip64_locator_that_points_nowhere() -> None:
    data = zip64(packed({"a": b"a"}))
    at = data.rfind(b"PK\x06\x07")
    assert refused(data[: at + 8] + struct.pack("<Q", 3) + data[at + 16 :]) == (
        "its ZIP64 directory is not where it should be",
    )


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/a", "a\\b", "a//b", "./a", "a/./b"])
def test_a_name_that_leads_outside(name: str) -> None:
    assert refused(packed({name: b""})) == (OUTSIDE.format(name),)


def test_a_name_with_a_nul() -> None:
    data = packed({"aXb": b""}).replace(b"aXb", b"a\0b")
    assert refused(data) == (OUTSIDE.format("a\0b"),)


@pytest.mark.parametrize("name", ["a\nb", "a\tb", "\x1f", "\x7f"])
def test_a_name_with_control_characters(name: str) -> None:
    """They would be taken for more than one line of what one builder tells another."""
    assert refused(packed({name: b""})) == (f"the member {name!r} has control characters in its name",)


def test_a_name_that_cannot_be_printed_is_still_a_name() -> None:
    assert set(opened(packed({"a\u00a0b\u2028": b""})).members) == {"a\u00a0b\u2028"}


def test_all_bad_names_are_told_at_once() -> None:
    assert len(refused(packed({"../a": b"", "/b": b"", "good": b""}))) == 2


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        target.writestr("twice", b"1")
        target.writestr("twice", b"2")
    assert refused(buffer.getvalue()) == ("the member 'twice' is there twice",)


def test_a_file_that_is_a_folder_too() -> None:
    assert refused(packed({"a": b"", "a/b": b""})) == ("the member 'a' is a file and a folder",)


def entry_at(data: bytes, offset: int, value: bytes) -> bytes:
    """The archive with bytes of its first directory entry changed."""
    place = data.index(b"PK\x01\x02") + offset
    return data[:place] + value + data[place + len(value) :]


@pytest.mark.parametrize(("offset", "value"), [(8, b"\x01\x00"), (10, b"\x0c\x00")], ids=["encrypted", "bzip2"])
def test_what_wheels_do_not_use(offset: int, value: bytes) -> None:
    data = entry_at(packed({"a": b"a"}), offset, value)
    assert refused(data) == ("the member 'a' is packed in a way that wheels do not use",)


@pytest.mark.parametrize("size", [0, 2999, 3001, 2**31])
def test_a_size_that_is_not_true(size: int) -> None:
    data = entry_at(packed({"a": b"abc" * 1000}), 24, struct.pack("<I", size))
    assert refused(data) == ("the member 'a' is damaged, or not of the size that the directory gives",)


def test_damaged_data() -> None:
    data = bytearray(packed({"a": bytes(range(256)) * 20}))
    data[35:60] = b"\xff" * 25
    assert refused(bytes(data)) == ("the member 'a' is damaged, or not of the size that the directory gives",)


def test_a_member_that_is_not_where_the_directory_says() -> None:
    moved = entry_at(packed({"a": b"a"}), 42, struct.pack("<I", 5))
    assert refused(moved) == ("the member 'a' is not where the directory says",)


def test_a_member_beyond_the_end_of_the_file() -> None:
    moved = entry_at(packed({"a": b"a"}), 42, struct.pack("<I", 0xFFFFFF))
    assert refused(moved) == ("the member 'a' is not where the directory says",)


@pytest.mark.parametrize("data", [b"", b"PK", b"<html>not a wheel</html>" * 10], ids=["empty", "short", "html"])
def test_what_is_no_archive(data: bytes) -> None:
    assert refused(data) == (NOT_ONE,)


def test_a_directory_of_another_size() -> None:
    data = packed({"a": b"a"})
    end = data.rfind(b"PK\x05\x06")
    assert refused(data[: end + 12] + struct.pack("<I", 7) + data[end + 16 :]) == (
        "its directory is not of the size that it says",
    )
    assert refused(data[: end + 10] + struct.pack("<H", 2) + data[end + 12 :]) == (
        "its directory is shorter than it says",
    )


def members(data: bytes, library: str = "") -> dict[str, bytes | None]:
    """Every member's bytes, None for one that is refused."""
    found = opened(data, library)
    read: dict[str, bytes | None] = {}
    for name in found.members:
        try:
            read[name] = bytes(found.read(name))
        except archive.Damaged:
            read[name] = None
    return read


@given(st.lists(st.binary(max_size=2000), min_size=1, max_size=5), st.integers(-3, 3))
def test_libdeflate_takes_and_refuses_what_zlib_does(files: list[bytes], wrong: int) -> None:
    """libdeflate_deflate_decompress writes into memory that it is given the size of: one byte more is an error."""
    library = ctypes.util.find_library("deflate")
    if library is None:
        pytest.skip("libdeflate is not on this machine; test_bad_wheels.py runs it in real builds")
    data = packed({str(number): content for number, content in enumerate(files)})
    data = entry_at(data, 24, struct.pack("<I", max(0, len(files[0]) + wrong)))
    with pytest.MonkeyPatch.context() as patch:
        slow = members(data)
        patch.setattr(archive, "_WORTH_A_LIBRARY", 0)
        assert members(data, library) == slow
    assert (slow["0"] == files[0]) == (max(0, len(files[0]) + wrong) == len(files[0]))


@pytest.mark.parametrize("size", [2**40, 2**64 - 1])
def test_a_size_that_no_memory_holds(size: int) -> None:
    data = zip64(packed({"a": b"abc" * 1000}))
    place = data.index(struct.pack("<HHQ", 1, 24, 3000)) + 4
    assert refused(data[:place] + struct.pack("<Q", size) + data[place + 8 :]) == (
        "the member 'a' is damaged, or not of the size that the directory gives",
    )


def test_a_place_that_no_file_has() -> None:
    data = zip64(packed({"a": b"abc" * 1000}))
    place = data.index(struct.pack("<HHQ", 1, 24, 3000)) + 20
    assert refused(data[:place] + struct.pack("<Q", 2**64 - 1) + data[place + 8 :]) == (
        "the member 'a' is not where the directory says",
    )
