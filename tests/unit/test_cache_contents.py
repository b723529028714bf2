from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from nixgen.cache import contents, place
from nixgen.cache.anomalies import Held, Nar
from nixgen.cache.contents import Files
from nixgen.cache.narinfo import NarInfo
from nixgen.errors import MachineError
from nixgen.log.stores.opening import open_storage
from nixgen.nix.tools import Nix

NAME = "25q050ilzakmjzx9ks46r3bmq7l4q8z0-b"
HASH = "sha256-o2f0rhnorplZ5Zg27WUlgZJaQypfsSdrliBUh44Zb78="
INFO = NarInfo(NAME, "nar/x.nar", HASH, 3, ())
TEXT = f"StorePath: /nix/store/{NAME}\nURL: nar/x.nar\nNarHash: {HASH}\nNarSize: 3\nReferences: \nCompression: none\n"
SEEN = Held(NAME, NarInfo(NAME, "nar/x.nar", HASH, 3, (), compression="none"))


@dataclass(frozen=True, slots=True)
class Double(Nix):
    """A Nix that dumps these chunks, then fails with this."""

    chunks: tuple[bytes, ...] = ()
    said: str = ""
    read: list[int] = field(default_factory=list)

    def dump(self, path: str) -> Iterator[bytes]:
        for chunk in self.chunks:
            self.read.append(len(chunk))
            yield chunk
        if self.said:
            raise MachineError.of(path, f"cannot be read from file:///cache: {self.said}")


@pytest.mark.parametrize(
    "said",
    [  # of Nix 2.8.0 and 2.34.8
        "input compression not recognized",
        "failed to read compressed data (Lzma library error:  No progress is possible)",
        "failed to read compressed data (Zstd decompression failed: Restored data doesn't match checksum)",
        "failed to read compressed data (truncated gzip input)",
        "Failed to open archive (truncated bzip2 input)",
        "failed to get libarchive filter by name: No such filter 'foo'",
        "error while decompressing brotli file",
    ],
)
def test_a_nar_that_is_not_what_its_narinfo_calls_it(said: str) -> None:
    assert contents.dumped(Double(chunks=(b"a",), said=said), INFO, 3) == Nar(why=f"cannot be unpacked ({said})")


@pytest.mark.parametrize(
    "said",
    [
        "file 'nar/04zwf782yjwnh3q6hz5izfd6jyip8kgw6g6yj43fiqhbyhdd0dqw.nar' does not exist in binary cache",
        "path '/nix/store/25q050ilzakmjzx9ks46r3bmq7l4q8z0-b' is not valid",
        "unable to download 'https://cache.example.org/nar/x.nar': HTTP error 404",
    ],
)
def test_a_nar_that_is_not_there(said: str) -> None:
    assert contents.dumped(Double(said=said), INFO, 3) == Nar(lost=True)


@pytest.mark.parametrize(
    "said",
    [
        "unable to download 'https://cache.example.org/nar/x.nar.xz': Couldn't resolve host name (6)",
        "executing SQLite statement 'insert into NARs … nar.xz': constraint failed (in 'binary-cache-v6.sqlite')",
        "interrupted by the user",
    ],
)
def test_what_is_the_machines_matter_is_told_of_the_path_and_hides_no_other(said: str) -> None:  # case 32
    assert contents.dumped(Double(said=said), INFO, 3) == Nar(unread=said)


def test_a_nar_is_hashed_as_it_comes_and_no_longer_than_it_may_be() -> None:
    abc = Nar("sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=", 3)
    assert contents.dumped(Double(chunks=(b"ab", b"c")), INFO, 3) == abc
    bomb = Double(chunks=(b"ab", b"cd", b"ef"))
    assert contents.dumped(bomb, INFO, 3) == Nar(why="has more than the 3 bytes that it should have")
    assert bomb.read == [2, 2]


def files(folder: Path) -> Files:
    url = f"file://{folder}"
    return Files(place.parse(url), Double(), open_storage(url))


def test_what_a_folder_has(tmp_path: Path) -> None:
    (tmp_path / f"{NAME[:32]}.narinfo").write_text(TEXT)
    (tmp_path / "nix-cache-info").write_text("StoreDir: /nix/store\n")
    (tmp_path / "notes.narinfo").write_text("")
    cache = files(tmp_path)
    assert cache.listed() == frozenset({NAME[:32]})
    other = "0" * 32
    assert list(cache.look([NAME, NAME[:32], other])) == [SEEN, SEEN, Held(other)]
    assert files(tmp_path / "nowhere").listed() == frozenset()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xff\xfe", "is not UTF-8 text"),
        (TEXT.replace("-b\n", "-c\n").encode(), f"is about another path: /nix/store/{NAME[:32]}-c"),
        (TEXT.replace("/nix/store", "/gnu/store").encode(), f"is about another path: /gnu/store/{NAME}"),
        (b"x: y\n" * 1_000_000, "is longer than 1 MiB, as no narinfo is"),
    ],
)
def test_what_is_no_narinfo_of_the_path(tmp_path: Path, data: bytes, why: str) -> None:
    (tmp_path / f"{NAME[:32]}.narinfo").write_bytes(data)
    assert list(files(tmp_path).look([NAME])) == [Held(NAME, why=why)]


class Cache(Files):
    """Whose NARs are what a double says."""

    def __init__(self, nix: Double) -> None:
        super().__init__(place.parse("https://cache.example.org"), nix, open_storage("https://cache.example.org"))


def test_nars_are_read_of_what_has_a_narinfo_and_is_compared_with_something() -> None:
    done: list[Held] = []
    gone, stranger = Held("0" * 32), replace(SEEN, name="1" * 32)
    cache = Cache(Double(chunks=(b"abc",)))
    found = list(contents.nars(cache, [SEEN, gone, stranger], {NAME: 3}, done.append))
    assert found[1:] == [gone, stranger]
    assert found[0].nar is not None
    assert found[0].nar.nar_size == 3
    assert done == found


def test_no_more_is_read_than_the_log_says_whatever_the_narinfo_says() -> None:
    nix = Double(chunks=(b"ab", b"c", b"d"))
    (found,) = contents.nars(Cache(nix), [SEEN], {NAME: 2}, lambda _: None)
    assert found.nar == Nar(why="has more than the 2 bytes that it should have")
    assert nix.read == [2, 1]


def test_no_more_is_asked_for_than_is_held() -> None:
    asked: list[int] = []

    def numbers() -> Iterator[int]:
        for number in itertools.count():
            asked.append(number)
            yield number

    endless = contents.ahead(lambda number: number * 2, numbers(), 4)
    assert [next(endless) for _ in range(10)] == list(range(0, 20, 2))
    assert max(asked) < 14


# The file that a NAR lies in: nobody signs what the narinfo says of it.

ABC = "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="


def file_of(folder: Path, text: str, nar: bytes = b"abc") -> Nar:
    (folder / "nar").mkdir()
    (folder / "nar/x.nar").write_bytes(nar)
    (folder / f"{NAME[:32]}.narinfo").write_text(TEXT.replace(HASH, ABC) + text)
    cache = Files(place.parse(f"file://{folder}"), Double(chunks=(b"abc",)), open_storage(f"file://{folder}"))
    (held,) = cache.look([NAME])
    assert held.info is not None
    return cache.nar(held.info, 3)


@pytest.mark.parametrize(
    ("text", "nar", "why"),
    [
        (f"FileHash: {ABC}\nFileSize: 3\n", b"abc", ""),
        ("", b"other", ""),
        ("FileSize: 4\n", b"abc", "lies in a file of 3 bytes, and its narinfo says 4"),
        ("FileSize: 3\n", b"abcdef", "lies in a file of more than 3 bytes, which its narinfo does not say"),
        (
            f"FileHash: {HASH}\nFileSize: 3\n",
            b"abc",
            f"lies in a file with hash {ABC}, and its narinfo says {HASH}",
        ),
    ],
)
def test_a_file_that_is_not_what_the_narinfo_says_of_it(tmp_path: Path, text: str, nar: bytes, why: str) -> None:
    assert file_of(tmp_path, text, nar) == Nar(ABC, 3, file=why)


@pytest.mark.parametrize("url", ["../x.nar", "/etc/passwd", "https://example.org/x.nar", "nar/../../x.nar", "."])
def test_a_nar_that_lies_elsewhere(tmp_path: Path, url: str) -> None:
    cache = Files(place.parse(f"file://{tmp_path}"), Double(chunks=(b"abc",)), open_storage(f"file://{tmp_path}"))
    assert cache.nar(replace(INFO, url=url), 3) == Nar(why=f"does not lie in the cache: {url!r}")
