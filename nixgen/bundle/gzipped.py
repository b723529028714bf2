"""A gzip file, deflated by several cores in blocks, each with the end of the one before it as its dictionary.

Its bytes do not depend on how many cores there are; every gzip unpacks it (RFC 1951 and 1952).
"""

from __future__ import annotations

import struct
import zlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

_LEVEL = 6
_BLOCK = 1 << 20
_MOST = 8  # cores: each has some blocks in memory
_WINDOW = 1 << 15  # bytes that deflate looks back
_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\x03"  # no name, no time


class Gzip:
    """Takes what goes into it by ``put``, and writes by ``write`` on the same thread; whole after ``end``."""

    def __init__(self, write: Callable[[bytes], object], cores: int) -> None:
        cores = min(cores, _MOST)
        self._write, self._pool, self._most = write, ThreadPoolExecutor(cores), 2 * cores
        self._block, self._before = bytearray(), b""
        self._crc, self._size = 0, 0
        self._running: deque[Future[bytes]] = deque()

    def __enter__(self) -> Self:
        self._write(_HEADER)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def put(self, piece: bytes) -> None:
        """More content."""
        self._block += piece
        while len(self._block) >= _BLOCK:
            self._deflate(bytes(self._block[:_BLOCK]), zlib.Z_SYNC_FLUSH)
            del self._block[:_BLOCK]

    def end(self) -> None:
        """That was all."""
        self._deflate(bytes(self._block), zlib.Z_FINISH)
        while self._running:
            self._write(self._running.popleft().result())
        self._write(struct.pack("<II", self._crc, self._size & 0xFFFFFFFF))

    def _deflate(self, block: bytes, mode: int) -> None:
        self._crc, self._size = zlib.crc32(block, self._crc), self._size + len(block)
        self._running.append(self._pool.submit(_deflated, block, self._before, mode))
        self._before = block[-_WINDOW:]
        if len(self._running) > self._most:
            self._write(self._running.popleft().result())


def _deflated(block: bytes, before: bytes, mode: int) -> bytes:
    packed = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15, zlib.DEF_MEM_LEVEL, zlib.Z_DEFAULT_STRATEGY, before)
    return packed.compress(block) + packed.flush(mode)
