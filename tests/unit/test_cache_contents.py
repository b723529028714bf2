from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
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
    assert contents._nar(Double(chunks=(b"a",), said=said), INFO, 3) == Nar(why=f"cannot be unpacked ({said})")


@pytest.mark.parametrize(
    "said",
    [
        "file 'nar/04zwf782yjwnh3q6hz5izfd6jyip8kgw6g6yj43fiqhbyhdd0dqw.nar' does not exist in binary cache",
        "path '/nix/store/25q050ilzakmjzx9ks46r3bmq7l4q8z0-b' is not valid",
        "unable to download 'https://cache.example.org/nar/x.nar': HTTP error 404",
    ],
)
def test_a_nar_that_is_not_there(said: str) -> None:
    assert contents._nar(Double(said=said), INFO, 3) == Nar(lost=True)


@pytest.mark.parametrize(
    "said",
    [
        "unable to download 'https://cache.example.org/nar/x.nar.xz': Couldn't resolve host name (6)",
        "executing SQLite statement 'insert into NARs … nar.xz': constraint failed (in 'binary-cache-v6.sqlite')",
        "interrupted by the user",
    ],
)
def test_what_is_the_machines_matter_is_no_finding_about_the_cache(said: str) -> None:
    with pytest.raises(MachineError, match="cannot be read from file:///cache: "):
        contents._nar(Double(said=said), INFO, 3)


def test_a_nar_is_hashed_as_it_comes_and_no_longer_than_it_may_be() -> None:
    abc = Nar("sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=", 3)
    assert contents._nar(Double(chunks=(b"ab", b"c")), INFO, 3) == abc
    bomb = Double(chunks=(b"ab", b"cd", b"ef"))
    assert contents._nar(bomb, INFO, 3) == Nar(why="has more than the 3 bytes that it should have")
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
    assert cache.look([NAME, NAME[:32], other]) == {NAME: SEEN, NAME[:32]: SEEN, other: Held(other)}
    assert files(tmp_path / "nowhere").listed() == frozenset()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xff\xfe", "is not UTF-8 text"),
        (TEXT.replace("-b\n", "-c\n").encode(), f"is about another path: /nix/store/{NAME[:32]}-c"),
        (TEXT.replace("/nix/store", "/gnu/store").encode(), f"is about another path: /gnu/store/{NAME}"),
        (b"x: y\n" * 1_000_000, "has 5000000 bytes, more than any narinfo"),
    ],
)
def test_what_is_no_narinfo_of_the_path(tmp_path: Path, data: bytes, why: str) -> None:
    (tmp_path / f"{NAME[:32]}.narinfo").write_bytes(data)
    assert files(tmp_path).look([NAME]) == {NAME: Held(NAME, why=why)}


def test_nars_are_read_of_what_has_a_narinfo() -> None:
    class Cache:
        nix = Double(chunks=(b"abc",))

    done: list[tuple[int, int, str]] = []
    gone = Held("0" * 32)
    found = contents.nars(Cache(), {NAME: SEEN, "gone": gone}, {}, lambda *count: done.append(count))  # type: ignore[arg-type]
    assert found["gone"] is gone
    nar = found[NAME].nar
    assert nar is not None
    assert nar.nar_size == 3
    assert done == [(1, 1, NAME)]


def test_no_more_is_read_than_the_log_says_whatever_the_narinfo_says() -> None:
    class Cache:
        nix = Double(chunks=(b"ab", b"c", b"d"))

    found = contents.nars(Cache(), {NAME: SEEN}, {NAME: 2}, lambda *_: None)  # type: ignore[arg-type]
    assert found[NAME].nar == Nar(why="has more than the 2 bytes that it should have")
    assert Cache.nix.read == [2, 1]
