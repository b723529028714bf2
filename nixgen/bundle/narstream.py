"""A store path as the NAR that its tar entries stand for, in their order: for its hash, and for Nix."""

from __future__ import annotations

from nixgen.bundle.tarform import DIRECTORY, FILE, DamagedError, Entry
from nixgen.oci import narform


class NarStream:
    """Gives the bytes of a NAR for entries that come in its order. Raises DamagedError for entries in another one."""

    def __init__(self) -> None:
        self._open: list[bytes] = []  # names of the folders that are open, below the uppermost
        self._last: list[bytes] = []  # the last name in each of them, the uppermost one included
        self._begun = False

    def begin(self, parts: tuple[bytes, ...], entry: Entry) -> bytes:
        """What comes before an entry's content; ``parts`` lead to it from the store path, none to the path itself."""
        if not parts:
            if self._begun:
                raise DamagedError("has a store path twice")
            self._begun = True
            return narform.MAGIC + self._node(entry)
        out = b""
        while self._last and self._open != [*parts[:-1]]:
            out += self._close()
        if not self._last or self._last[-1] >= parts[-1] or parts[-1] in {b"", b".", b".."}:
            raise DamagedError("has names that are not in their order")
        self._last[-1] = parts[-1]
        if entry.kind == DIRECTORY:
            self._open.append(parts[-1])
        return out + narform.ENTRY + narform.packed(parts[-1]) + narform.NODE + self._node(entry)

    def end(self, parts: tuple[bytes, ...], entry: Entry) -> bytes:
        """What comes behind it."""
        if entry.kind == DIRECTORY:
            return b""
        filled = bytes(-entry.size % 8) if entry.kind == FILE else b""
        return filled + narform.CLOSE + (narform.CLOSE if parts else b"")

    def close(self) -> bytes:
        """What comes behind the last entry."""
        out = b""
        while self._last:
            out += self._close()
        return out

    def _node(self, entry: Entry) -> bytes:
        if entry.kind == DIRECTORY:
            self._last.append(b"")
            return narform.DIRECTORY
        if entry.kind == FILE:
            return (narform.EXECUTABLE if entry.mode & 0o100 else narform.REGULAR) + narform.length(entry.size)
        return narform.SYMLINK + narform.packed(entry.target)

    def _close(self) -> bytes:
        self._last.pop()
        if not self._last:
            return narform.CLOSE
        self._open.pop()
        return narform.CLOSE + narform.CLOSE
