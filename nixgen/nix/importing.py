"""Puts store paths into Nix's store from a stream, one after the other, without a copy of any in memory or on the disk.

What Nix speaks over SSH: ``nix-store --serve --write``, version 2.5, whose command 9 takes a path as its NAR. Nix
hashes what it gets, and has a path whole or not at all.
"""

from __future__ import annotations

import base64
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from types import TracebackType
from typing import IO, Self

from nixgen.console import console
from nixgen.errors import MachineError
from nixgen.machine import process
from nixgen.nix import install
from nixgen.nix.json import STORE
from nixgen.nix.tools import Nix
from nixgen.oci.narform import packed

_HELLO, _ANSWER, _VERSION = 0x390C9DEB, 0x5452EECB, 0x205
_ADD = 9
_LONG = 8  # bytes of a number
_UNTRUSTED = "signature"
_TRUST = """\
do it as root, or as a user that Nix trusts (trusted-users in /etc/nix/nix.conf); \
or without Nix: sh FILE run COMMAND"""


class Importing:
    """Nix, which takes paths. Raises MachineError with Nix's own words, and with what helps who may not import."""

    def __init__(self, nix: Nix) -> None:
        self._command = nix.command("nix-store", "--serve", "--write")

    def __enter__(self) -> Self:
        console.detail(f"$ {process.shown(self._command)}")
        self._said = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said
            )
        except OSError:
            self._said.close()
            raise MachineError.of("", "there is no program nix-store", install.hint()) from None
        self._put(_number(_HELLO), _number(_VERSION))
        self._flush()
        if self._number() != _ANSWER:
            raise self._failed()
        self._number()
        return self

    def begin(self, name: str, nar_hash: str, nar_size: int, references: Sequence[str]) -> None:
        """A path, whose NAR follows in pieces: its name, its NAR's hash ("sha256-…") and size, what it refers to."""
        digest = base64.b64decode(nar_hash.removeprefix("sha256-")).hex()
        whole = [f"{STORE}/{one}".encode() for one in sorted(references)]
        self._put(_number(_ADD), packed(f"{STORE}/{name}".encode(), b"", digest.encode()))
        # References, no time, the size, not made here, no signatures, no other name for the content.
        self._put(
            _number(len(whole)), packed(*whole), _number(0), _number(nar_size), _number(0), _number(0), packed(b"")
        )

    def piece(self, piece: bytes) -> None:
        """A part of the NAR."""
        self._put(piece)

    def end(self) -> None:
        """It was whole; waits until Nix has it."""
        self._flush()
        if self._number() != 1:
            raise self._failed()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            process.end(self._process)
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except BrokenPipeError:
                pass
        self._process.wait()
        self._said.close()

    def _put(self, *pieces: bytes) -> None:
        try:
            for piece in pieces:
                self._stdin.write(piece)
        except BrokenPipeError:
            raise self._failed() from None

    def _flush(self) -> None:
        try:
            self._stdin.flush()
        except BrokenPipeError:
            raise self._failed() from None

    @property
    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None  # noqa: S101 -- it is a pipe
        return self._process.stdin

    def _number(self) -> int:
        assert self._process.stdout is not None  # noqa: S101 -- the same
        data = self._process.stdout.read(_LONG)
        if len(data) < _LONG:
            raise self._failed()
        return int(struct.unpack("<Q", data)[0])

    def _failed(self) -> MachineError:
        process.end(self._process)
        self._said.seek(0)
        said = self._said.read()[-4000:].decode("utf-8", "replace").rpartition("error: ")[2].strip() or "it ended"
        return MachineError.of(
            "", f"Nix does not take what the bundle has: {said}", _TRUST if _UNTRUSTED in said else ""
        )


def _number(value: int) -> bytes:
    return struct.pack("<Q", value)
