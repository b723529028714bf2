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
