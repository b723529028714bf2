"""The readers of wheels and ELF files on made-up input (cases 31, 35, 36), in a process that may use 300 MB.

FUZZ_SECONDS says for how long, with new input each time; without it, the same wheels are tried in each run.
"""

from __future__ import annotations

import os
import random
import resource
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from budget import SHARE
from support.wheels import make_wheel

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(900 + 3 * SHARE)]
ROOT = Path(__file__).resolve().parents[2]
MEMORY = 300_000_000
COUNT = 400


def limited(*argv: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs a Python program that may use 300 MB."""
    return subprocess.run(
        [sys.executable, "-B", *argv],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **env},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )


def test_damaged_wheels_are_refused_with_a_sentence(tmp_path: Path) -> None:
    program = Path(sys.executable).resolve().read_bytes()[: 1 << 16]
    files: dict[str, str | bytes] = {"pkg/__init__.py": "x = 1\n", "pkg/tool": program, "pkg/sub/data.txt": "y" * 500}
    files["pkg-1.0.data/scripts/run"] = "#!python\nprint()\n"
    points = "[console_scripts]\npkg = pkg:main\n"
    make_wheel(tmp_path, "pkg", "1.0", files, entry_points=points, executable=["pkg/tool"]).rename(
        tmp_path / "good.whl"
    )
    seed = random.randrange(1 << 32) if SHARE else 0
    done = limited(ROOT / "tests/fuzz/wheelbuilder.py", tmp_path, str(seed), str(COUNT), str(SHARE))
    assert done.returncode == 0, done.stderr


def builder(tmp_path: Path, wheel: Path) -> subprocess.CompletedProcess[str]:
    """Installs a wheel as a build does."""
    given = {"src": str(wheel), "out": str(tmp_path / "out"), "file": wheel.name, "python": "3.13", "loader": "/loader"}
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'nix/builders/wheel')!r}); import install; install.main()"
    return limited("-c", code, **given, rpath="/rpath", libdeflate="", NIX_BUILD_CORES="1")


def packed(folder: Path, members: dict[str, bytes]) -> Path:
    """A wheel with these members besides its metadata."""
    path = make_wheel(folder, "bad", "1.0")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_size_that_the_file_only_claims(tmp_path: Path) -> None:
    """600 MB out of 600 KB would fit deflate's ratio, and so be allocated."""
    wheel = packed(tmp_path, {"big.bin": os.urandom(600_000)})
    data = bytearray(wheel.read_bytes())
    struct.pack_into("<I", data, data.rindex(b"big.bin") - 46 + 24, 600_000_000)
    wheel.write_bytes(bytes(data))
    done = builder(tmp_path, wheel)
    assert (
        done.stderr == f"{wheel.name}: the member 'big.bin' is damaged, or not of the size that the directory gives\n"
    )


def test_a_member_that_is_larger_than_the_memory(tmp_path: Path) -> None:
    """It is written in pieces; 400 MB of zeros are 400 KB in a wheel."""
    wheel = packed(tmp_path, {"zeros.bin": bytes(400_000_000), "zeros.py": b"#" * 100_000_000})
    done = builder(tmp_path, wheel)
    assert (done.returncode, done.stderr) == (0, "")
    site = tmp_path / "out/lib/python3.13/site-packages"
    assert ((site / "zeros.bin").stat().st_size, (site / "zeros.py").stat().st_size) == (400_000_000, 100_000_000)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("a/" * 30_000 + "b", "has a name that is too long or too deep"),
        ("a/" * 120 + "b", "has a name that is too long or too deep"),
        ("n" * 2000, "has a name that is too long or too deep"),
    ],
    ids=["deep", "rather-deep", "long"],
)
def test_a_name_that_no_wheel_has(tmp_path: Path, name: str, sentence: str) -> None:
    done = builder(tmp_path, packed(tmp_path, {f"{number}{name}": b"" for number in range(50)}))
    assert done.returncode == 1
    assert all(line.endswith(sentence) for line in done.stderr.splitlines())


@pytest.mark.parametrize(
    ("member", "piece", "times", "sentence"),
    [
        ("RECORD", b"a\n", 10_000_000, "bad-1.0.dist-info/RECORD has more than 250000 lines"),
        ("RECORD", b" ", 200_000_000, "bad-1.0.dist-info/RECORD is too large to be read: 200000000 bytes"),
        (
            "entry_points.txt",
            b" ",
            200_000_000,
            "bad-1.0.dist-info/entry_points.txt is too large to be read: 200000000 bytes",
        ),
    ],
    ids=["lines", "record", "entry-points"],
)
def test_metadata_that_is_larger_than_any(tmp_path: Path, member: str, piece: bytes, times: int, sentence: str) -> None:
    wheel = make_wheel(tmp_path, "bad", "1.0")
    with zipfile.ZipFile(wheel) as archive:
        old = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (old | {f"bad-1.0.dist-info/{member}": piece * times}).items():
            archive.writestr(name, text)
    assert builder(tmp_path, wheel).stderr == f"{wheel.name}: {sentence}\n"


def test_an_elf_file_with_every_count_at_its_most(tmp_path: Path) -> None:
    """65,535 headers that each are the whole file; strings that overlap; a table of nothing but needed libraries."""
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 3, 62, 1, 0, 64, 0, 0, 64, 56, 65535, 64, 0, 0)
    size = 65535 * 56 + 64
    headers = b"".join(struct.pack("<IIQQQQQQ", kind, 4, 0, 0, 0, size, size, 1) for kind in (1, 2, 3) * 21845)
    needed = head[:64] + headers
    tags = struct.pack("<qQ", 5, 0) + struct.pack("<qQ", 1, 1) * 200_000
    table = struct.pack("<IIQQQQQQ", 2, 4, 64 + 112, 0, 0, len(tags), len(tags), 1)
    table += struct.pack("<IIQQQQQQ", 1, 4, 0, 0, 0, 1 << 30, 1 << 30, 1)
    wide = head[:56] + struct.pack("<H", 2) + head[58:64] + table + tags + b"x" * 1_000_000
    wheel = packed(tmp_path, {"a.so": needed, "b.so": wide})
    done = builder(tmp_path, wheel)
    assert "Traceback" not in done.stderr
    assert "Memory" not in done.stderr
