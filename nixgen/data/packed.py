"""Files of text, unpacked while they are read."""

from __future__ import annotations

import bz2
import gzip
import io
from pathlib import Path
from typing import Any

from nixgen.data import formats
from nixgen.data.arrow import arrow


def open_text(path: str, file: Path) -> io.BufferedIOBase:
    """The unpacked bytes of a file; ``path``'s end tells how it is packed."""
    packed = formats.compression(path)
    if packed == "gz":
        return gzip.open(file)
    if packed == "bz2":
        return bz2.open(file)
    if packed == "zst":
        return io.BufferedReader(_Unpacked(arrow().CompressedInputStream(str(file), "zstd")), 1 << 20)
    return file.open("rb")


class _Unpacked(io.RawIOBase):
    """A stream of Arrow's as Python has them."""

    def __init__(self, stream: Any) -> None:  # noqa: ANN401 -- a pyarrow.NativeFile
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 -- any writable buffer
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()
