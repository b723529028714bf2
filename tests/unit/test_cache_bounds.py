"""Case 31: however long somebody makes a file of a cache or of its log, 200 MB of memory are enough."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from logs import SIGNER, VERIFIER, append, entries
from support.loopback import Asked, Reply, listen

from nixgen.cache.entry import Entry
from nixgen.cache.pull import closure
from nixgen.log.append import Announcement
from nixgen.log.log import Log
from nixgen.log.stores.folder import Folder

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is measured with Linux's /proc"),
]

HERE = Path(__file__).parent
MOST = 200_000_000
HUGE = 4 << 30

PROGRAM = """
import pathlib, sys
sys.path[:0] = [{here!r}, {tests!r}]
from logs import SIGNER, VERIFIER, append, entry
from nixgen.cache import contents, place
from nixgen.cache.entry import read
from nixgen.errors import NixgenError
from nixgen.log.log import Log
from nixgen.log.stores.opening import open_storage
from nixgen.nix.tools import Nix
try:
    {do}
except NixgenError as error:
    print(str(error).splitlines()[0])
# getrusage counts the process that started this one, too
status = pathlib.Path('/proc/self/status').read_text()
print(int(status.split('VmHWM:')[1].split()[0]) * 1024)
"""
READ = "for _ in read(Log.open(open_storage({url!r}), VERIFIER)): pass"
APPEND = "append(Log.open(open_storage({url!r}), VERIFIER), [entry(10_000)], SIGNER)"
LOOK = """
    cache = contents.Files(place.parse({url!r}), Nix(), open_storage({url!r}))
    whys = set(item.why for item in cache.look(sorted(cache.listed())))
    print(*sorted(whys))
"""


def said(do: str, url: str) -> str:
    """What it says of the files, when it took no more memory than it may."""
    code = PROGRAM.format(here=str(HERE), tests=str(HERE.parent), do=do.format(url=url).strip())
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *lines, most = done.stdout.splitlines()
    assert int(most) < MOST
    return "\n".join(lines)


def filled(folder: Path) -> Path:
    append(Log.open(Folder(folder), VERIFIER), entries(0, 300))
    return folder


@pytest.mark.parametrize(
    ("name", "do", "what"),
    [
        ("checkpoint", READ, "is not a note: it is too long"),
        ("tile/lines/000", READ, "is longer than 16 MiB"),
        ("tile/lines/001.p/44", READ, "is longer than 16 MiB"),
        ("tile/0/000", READ, "holds other hashes than those of the checkpoint"),
        ("tile/0/001.p/44", READ, "its tiles lead to the root "),
        ("pending/300", APPEND, "is longer than any append"),
    ],
)
def test_a_file_of_the_log_that_has_no_end(tmp_path: Path, name: str, do: str, what: str) -> None:
    folder = filled(tmp_path)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"")
    os.truncate(folder / name, HUGE)
    assert what in said(do, str(folder))


def test_a_bundle_of_empty_lines(tmp_path: Path) -> None:
    folder = filled(tmp_path)
    (folder / "tile/lines/000").write_bytes(b"\n" * (64 << 20))
    assert "holds other entries than those of the checkpoint" in said(READ, str(folder))


def test_an_announcement_of_empty_lines(tmp_path: Path) -> None:
    folder = filled(tmp_path)
    note = Announcement(300, 301, "A" * 43 + "=", ()).data(SIGNER)
    (folder / "pending").mkdir(exist_ok=True)
    (folder / "pending/300").write_bytes(note + b"\n" * (15 << 20))
    assert said(APPEND, str(folder)) == ""


def test_a_server_whose_checkpoint_has_no_end() -> None:
    def answer(asked: Asked, body: bytes) -> Reply:
        del asked, body
        return Reply(200, {}, b"x" * (64 << 20))

    with listen(answer) as url:
        assert "is not a note: it is too long" in said(READ, f"{url}/log")


def test_narinfos_that_are_long(tmp_path: Path) -> None:
    name = "{:032}"
    for number in range(100):
        path = name.format(number)
        references = " ".join(f"{other:032}-x" for other in range(29_000))
        head = f"StorePath: /nix/store/{path}-x\nURL: nar/x\nNarHash: sha256-{'A' * 43}=\nNarSize: 1\nReferences: "
        (tmp_path / f"{path}.narinfo").write_text(f"{head}{references}\n")
    assert len(head + references) < 1 << 20
    endless = tmp_path / f"{name.format(101)}.narinfo"
    endless.touch()
    os.truncate(endless, HUGE)
    signed = tmp_path / f"{name.format(102)}.narinfo"
    signed.write_text("Sig: a:b\n" * 101)
    found = said(LOOK, f"file://{tmp_path}").split("  ")
    assert "is longer than 1 MiB, as no narinfo is" in found[-1]
    assert "cannot be read: it has more than 100 signatures" in found[-1]


def test_references_without_an_end_are_followed_as_far_as_the_log_has_them() -> None:
    """A server can make up a narinfo for each path that the last one names."""

    def entry(number: int) -> Entry:
        return Entry(f"{number:032}-x", "sha256-" + "A" * 43 + "=", 1, (f"{number + 1:032}-x",))

    logged = {entry(number).path: [entry(number)] for number in range(5000)}
    assert closure(logged, [entry(0).path]) == [f"{number:032}-x" for number in range(5001)]
    assert closure({}, [entry(0).path]) == [entry(0).path]


def test_an_append_is_written_in_parts_that_can_be_read_again(tmp_path: Path) -> None:
    """Entries of 900 kB: eighteen of them fit into one append, and 256 do not fit into one bundle."""
    long = tuple(f"{number:032}-{'x' * 200}" for number in range(3800))
    said = [Entry(f"{number:032}-x", "sha256-" + "A" * 43 + "=", 1, long) for number in range(20)]
    log = Log.open(Folder(tmp_path), VERIFIER)
    with pytest.raises(Exception, match="the 256 entries that lie together have more than 16 MiB"):
        append(log, said)
    assert log.size == 18
    spread = [
        one for number, item in enumerate(said) for one in [item, *entries(1000 + number * 16, 1016 + number * 16)]
    ]
    log = Log.open(Folder(tmp_path / "b"), VERIFIER)
    done = append(log, spread)
    assert (done.checkpoint.size, len(done.added)) == (len(spread), len(spread))
    assert [item.path for item in done.added] == [item.path for item in spread]
