"""Paths as they are shown: a name on the disk may be any bytes."""

from __future__ import annotations

import os


def shown(path: str) -> str:
    """A path for a terminal: nothing in it can move the cursor or change a colour."""
    text = printable(path)
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def printable(path: str) -> str:
    """A path as text: the bytes of it that are no UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace") if _has_bytes(path) else path


def _has_bytes(path: str) -> bool:
    return any("\udc80" <= letter <= "\udcff" for letter in path)


def amount(size: int) -> str:
    """Bytes for people, in binary units: 512 B, 1.5 KiB, 39 MiB."""
    value, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if round(value) < 1024:  # noqa: PLR2004
            break
        value, unit = value / 1024, larger
    return f"{value:.{1 if unit != 'B' and round(value, 1) < 10 else 0}f} {unit}"  # noqa: PLR2004


def counted(files: int) -> str:
    """How many files."""
    return "1 file" if files == 1 else f"{files} files"
