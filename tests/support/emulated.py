"""Programs for aarch64 on another machine: qemu, registered with the kernel (binfmt_misc) for a namespace alone.

Since Linux 6.7 a user namespace has a binfmt_misc of its own: the machine is left as it is, and what was registered
goes with the namespace.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.nix import current

# An ELF file with 64 bits, little-endian, a program or a library, for machine 183. P: argv[0] stays what it was; F: the
# emulator is opened now, so that it is there in a sandbox, too.
_REGISTRATION = (
    r":nixgen-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:%s:PF"
)
_BINFMT = "/proc/sys/fs/binfmt_misc"
_NEEDS = "programs for aarch64 are run by root, on Linux 6.7 or newer with binfmt_misc"
_EVERY_ID = "0 0 4294967295\n"  # each user and group is itself, as Nix's sandbox needs it


class LackingError(Exception):
    """What this machine lacks, in a sentence."""


@contextmanager
def emulation() -> Iterator[tuple[str, ...]]:
    """The start of a command line whose rest can run programs for aarch64; raises LackingError."""
    if os.uname().machine == "aarch64":
        raise LackingError("this machine is aarch64 itself, which the other tests build for")
    if os.geteuid() != 0:
        raise LackingError(f"{_NEEDS}, and this is not root")
    if shutil.which("apt-get") is None:
        raise LackingError("qemu is unpacked with apt-get, which is not here")
    # It ends with its standard input: also when these tests are killed.
    holder = subprocess.Popen(
        ["unshare", "--user", "--mount", "--", "sh", "-c", "echo there; exec cat"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with holder:
        yield _registered(holder)


def _registered(holder: subprocess.Popen[bytes]) -> tuple[str, ...]:
    """Makes the namespace of a process ready; the start of a command line that runs the rest in it."""
    assert holder.stdout is not None
    if not holder.stdout.readline():
        raise LackingError(f"{_NEEDS}: there are no user namespaces here")
    try:
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{holder.pid}/{name}").write_text(_EVERY_ID)
    except OSError as error:
        raise LackingError(f"{_NEEDS}: {error}") from None
    within = ("nsenter", "--target", str(holder.pid), "--user", "--")
    mounted = ("nsenter", "--target", str(holder.pid), "--user", "--mount", "--")
    if said := _said([*mounted, "mount", "-t", "binfmt_misc", "binfmt_misc", _BINFMT]):
        raise LackingError(f"{_NEEDS}: {said}")
    line = _REGISTRATION % (current("qemu") / "qemu-aarch64")
    said = _said([*mounted, "sh", "-euc", f'printf %s "$1" >{_BINFMT}/register', "sh", line])
    if said := said or _refused(within):
        raise LackingError(f"{_NEEDS}: {said}")
    return within


def _said(argv: list[str]) -> str:
    """Empty where a command succeeds; else the first line that it said."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]


def _refused(within: tuple[str, ...]) -> str:
    """Empty where a program for aarch64 runs, with an empty folder as its root, as in Nix's sandbox; else the words."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "program")
        program.write_bytes(_program())
        program.chmod(0o755)
        return _said([*within, "unshare", "--user", "--map-root-user", "--root", folder, "--", "/program"])


def _program() -> bytes:
    """A static program for aarch64 that ends well: exit(0)."""
    code = struct.pack("<III", 0xD2800000, 0xD2800BA8, 0xD4000001)  # mov x0, 0; mov x8, 93; svc 0
    base, start = 0x400000, 64 + 56
    size = start + len(code)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 183, 1, base + start, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    return header + struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000) + code
