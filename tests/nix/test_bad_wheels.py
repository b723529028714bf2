"""Wheels that are not what they should be, in real builds: each fails with its sentence, and with no traceback."""

from __future__ import annotations

import os
import random
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lab import SITE
from support.wheels import make_wheel

if TYPE_CHECKING:
    from lab import Lab

OUTSIDE = "would be written outside the wheel's own folder"
DAMAGED = "is damaged, or not of the size that the directory gives"
RECORD = "bad-1.0.dist-info/RECORD"


def files(**options: Any) -> Callable[[Path], Path]:
    """A wheel with these options of the factory."""
    return lambda folder: make_wheel(folder, "bad", "1.0", **options)


def named(*names: str) -> Callable[[Path], Path]:
    return files(files=dict.fromkeys(names, "x = 1\n"))


def changed(change: Callable[[bytearray], None], **options: Any) -> Callable[[Path], Path]:
    """A correct wheel whose bytes are changed afterwards."""

    def make(folder: Path) -> Path:
        wheel = make_wheel(folder, "bad", "1.0", **options)
        data = bytearray(wheel.read_bytes())
        change(data)
        wheel.write_bytes(bytes(data))
        return wheel

    return make


def in_directory(offset: int, pattern: str, value: int, name: bytes = b"bad.py") -> Callable[[Path], Path]:
    """Changes a field of a member's entry in the directory."""

    def change(data: bytearray) -> None:
        struct.pack_into(pattern, data, data.rindex(name) - 46 + offset, value)

    return changed(change)


def replaced(old: bytes, new: bytes, **options: Any) -> Callable[[Path], Path]:
    def change(data: bytearray) -> None:
        assert old in data
        data[:] = data.replace(old, new)

    return changed(change, **options)


def overwritten(data: bytearray) -> None:
    """Spoils the deflated data of the first member."""
    start = 30 + len("bad.py")
    data[start : start + 8] = b"\xff" * 8


def without_record(folder: Path) -> Path:
    wheel = make_wheel(folder, "bad", "1.0")
    rewrite(wheel, lambda name: None if name == RECORD else name)
    return wheel


def with_duplicate(folder: Path) -> Path:
    wheel = make_wheel(folder, "bad", "1.0")
    with warnings.catch_warnings(), zipfile.ZipFile(wheel, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("bad.py", "NAME = 'another'\n")
    return wheel


def rewrite(wheel: Path, rename: Callable[[str], str | None]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in members.items():
            if (new := rename(name)) is not None:
                archive.writestr(new, content)


def odd_program() -> bytes:
    """An ELF header and a program header that names an interpreter, and nothing else."""
    machine = {"x86_64": 62, "aarch64": 183}[os.uname().machine]
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, machine, 1, 0, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    return head + struct.pack("<IIQQQQQQ", 3, 4, 120, 120, 120, 5, 5, 1) + b"/ld\0\0"


def many(**options: Any) -> Callable[[Path], Path]:
    """A wheel so large that several processes install it, and that the base's libdeflate unpacks it."""
    noise = random.Random(1)
    large = {f"bad/{number}.bin": noise.randbytes(700_000) for number in range(4)}
    return files(files={**large, "bad/__init__.py": ""}, **options)


def _spoilt_in_the_middle(folder: Path) -> Path:
    """The type of one deflate block is made 3, which there is not (RFC 1951, 3.2.3)."""
    wheel = many()(folder)
    data = bytearray(wheel.read_bytes())
    data[data.index(b"bad/1.bin") + len("bad/1.bin")] = 0xFF
    wheel.write_bytes(bytes(data))
    return wheel


CASES: dict[str, tuple[Callable[[Path], Path], list[str]]] = {
    "outside": (named("../bad.py"), [f"the member '../bad.py' {OUTSIDE}"]),
    "outside-data": (
        named("bad-1.0.data/scripts/../../bad.py"),
        [f"the member 'bad-1.0.data/scripts/../../bad.py' {OUTSIDE}"],
    ),
    "absolute": (named("/etc/bad.py"), [f"the member '/etc/bad.py' {OUTSIDE}"]),
    "backslash": (named("bad\\bad.py"), [f"the member 'bad\\\\bad.py' {OUTSIDE}"]),
    "nul": (replaced(b"ba_d.py", b"ba\0d.py", files={"ba_d.py": ""}), [f"the member 'ba\\x00d.py' {OUTSIDE}"]),
    "two": (named("../one.py", "../two.py"), [f"the member '../{one}.py' {OUTSIDE}" for one in ("one", "two")]),
    "hash": (
        files(files={"bad.py": "x = 1\n"}, bad_hash="bad.py"),
        [
            "bad.py is not what RECORD says: sha256=nia_NpkRxFwkPGhBR7I_yeHc_PJX0pmhxjIBam_NM_Q instead of "
            "sha256=EzPop6h266SZoRUP8oDbt0bimdd8jz5gOarro9qQYvc"
        ],
    ),
    "hash-in-one-of-many": (
        many(bad_hash="bad/2.bin"),
        [
            "bad/2.bin is not what RECORD says: sha256=rVg9SQBcIVA7OmxJjMh1a5M6ibog9uT5c02D19Q6gqo instead of "
            "sha256=l3pacMO_BEw-6tpcDYskN4IJ84uWb5QMn84cj3fowAc"
        ],
    ),
    "damaged-one-of-many": (_spoilt_in_the_middle, [f"the member 'bad/1.bin' {DAMAGED}"]),
    "unknown-hash": (
        files(record="bad.py,crc32=AAAA,3\n"),
        ["RECORD gives bad.py a hash of a kind that is not known here: crc32=AAAA"],
    ),
    "endless-hash": (
        files(record="bad.py,shake_128=AAAA,3\n"),
        ["RECORD gives bad.py a hash of a kind that is not known here: shake_128=AAAA"],
    ),
    "no-record": (without_record, [f"it has no {RECORD}"]),
    "latin-record": (
        files(record="na\udcefve.py,,\n"),
        [f"{RECORD} is not UTF-8: 'utf-8' codec can't decode byte 0xef in position 2: invalid continuation byte"],
    ),
    "no-info": (
        lambda folder: _renamed(folder, "bad-1.0.dist-info/WHEEL", "bad-1.0.dist-info/WHEEEL"),
        ["a wheel has one .dist-info folder with a WHEEL file, this one has 0"],
    ),
    "two-infos": (
        named("bad.py", "other-2.0.dist-info/WHEEL"),
        ["a wheel has one .dist-info folder with a WHEEL file, this one has 2"],
    ),
    "duplicate": (with_duplicate, ["the member 'bad.py' is there twice"]),
    "damaged": (
        changed(overwritten, files={"bad.py": "x = 1\n" * 200}),
        [f"the member 'bad.py' {DAMAGED}"],
    ),
    "truncated": (changed(lambda data: data.__delitem__(slice(200, None))), ["not a ZIP archive"]),
    "cut-in-the-middle": (
        changed(lambda data: data.__delitem__(slice(40, 60))),
        ["its directory is shorter than it says"],
    ),
    "size": (in_directory(24, "<I", 7), [f"the member 'bad.py' {DAMAGED}"]),
    "encrypted": (in_directory(8, "<H", 1), ["the member 'bad.py' is packed in a way that wheels do not use"]),
    "method": (in_directory(10, "<H", 14), ["the member 'bad.py' is packed in a way that wheels do not use"]),
    "clash": (named("bad", "bad/__init__.py"), ["the member 'bad' is a file and a folder"]),
    "unknown-data-key": (
        named("bad-1.0.data/licences/x"),
        [
            "the member 'bad-1.0.data/licences/x' has no place: 'licences' is none of purelib, platlib, scripts, data, "
            "headers"
        ],
    ),
    "same-place": (
        named("bad.py", "bad-1.0.data/purelib/bad.py"),
        ["the members bad.py and bad-1.0.data/purelib/bad.py are the same file when installed"],
    ),
    "clash-when-installed": (
        named("bad/__init__.py", "bad-1.0.data/purelib/bad"),
        ["the member 'bad-1.0.data/purelib/bad' is a file where others need a folder"],
    ),
    "our-own-file": (
        named("bad.py", "bad-1.0.data/data/nixgen-facts"),
        ["a member would be installed as nixgen-facts, which is nixgen's own file"],
    ),
    "newline": (named("bad.py\nscript"), ["the member 'bad.py\\nscript' has control characters in its name"]),
    "record-syntax": (
        files(record='"' + "x" * 140_000 + '",,\n'),
        [f"{RECORD} cannot be read: field larger than field limit (131072)"],
    ),
    "odd-program": (
        lambda folder: make_wheel(folder, "bad", "1.0", {"bad/tool": odd_program()}, executable=["bad/tool"]),
        [
            f"{SITE}/bad/tool is a program that cannot be given an interpreter path: its segments are damaged",
        ],
    ),
    "long-name": (
        named("b" * 300 + ".py"),
        [f"{'b' * 300}.py cannot be written: File name too long"],
    ),
    "entry-points-syntax": (
        files(entry_points="[console_scripts]\nno value here\n"),
        ["entry_points.txt: line 2 is neither [GROUP] nor NAME = VALUE"],
    ),
    "entry-points-target": (
        files(entry_points="[console_scripts]\nbad = bad.main\n"),
        ["entry_points.txt: console_scripts: bad = 'bad.main' is not a name with module:object"],
    ),
    "entry-points-path": (
        files(entry_points="[gui_scripts]\n../bad = bad:main\n"),
        ["entry_points.txt: gui_scripts: '../bad' cannot be the name of a program"],
    ),
    "entry-points-bytes": (
        files(files={"bad-1.0.dist-info/entry_points.txt": b"[console_scripts]\n\xff = a:b\n"}),
        [
            "bad-1.0.dist-info/entry_points.txt is not UTF-8: 'utf-8' codec can't decode byte 0xff in position 18: "
            "invalid start byte"
        ],
    ),
    "html": (lambda folder: _written(folder, b"<html>404</html>" * 20), ["not a ZIP archive"]),
    "empty": (lambda folder: _written(folder, b""), ["not a ZIP archive"]),
}


def _renamed(folder: Path, old: str, new: str) -> Path:
    wheel = make_wheel(folder, "bad", "1.0")
    rewrite(wheel, lambda name: new if name == old else name)
    return wheel


def _written(folder: Path, data: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "bad-1.0-py3-none-any.whl"
    path.write_bytes(data)
    return path


@pytest.fixture(scope="module")
def printed(lab_new: Lab, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """All of them, built by one command that goes on after a failure; the log of each."""
    folder, entries = tmp_path_factory.mktemp("bad"), []
    for case, (make, _) in CASES.items():
        wheel = make(folder / case).rename(lab_new.wheels / f"{case.replace('-', '_')}-1.0-py3-none-any.whl")
        entries.append(lab_new.entry(wheel))
    lab = lab_new.with_arguments(wheels=entries)
    everything = f"(builtins.attrValues ({lab.expression()}).wheels)"
    done = lab.nix.run("nix-build", "--no-out-link", "--keep-going", "-E", everything, check=False)
    assert not done.ok
    logs = {}
    for case, entry in zip(CASES, entries, strict=True):
        lines = [line for line in done.stderr.splitlines() if line.startswith(f"{entry['file']}: ")]
        logs[case] = "\n".join(line.removeprefix(f"{entry['file']}: ") for line in lines)
    return {**logs, "": done.stderr, "built": done.stdout}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_wheel_fails_with_its_sentence(printed: dict[str, str], case: str) -> None:
    assert printed[case].splitlines() == CASES[case][1]


def test_no_bad_wheel_gives_a_traceback_or_is_built(printed: dict[str, str]) -> None:
    assert "Traceback" not in printed[""], printed[""]
    assert printed["built"] == ""
