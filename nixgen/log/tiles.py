"""How a log lies in its store: C2SP tlog-tiles (c2sp.org/tlog-tiles), height 8, and bundles of 256 lines.

``tile/L/N`` has 256 hashes of level L, ``tile/lines/N`` the 256 entries below the tile ``tile/0/N``, a line each (the
specification's own bundles end at 64 KiB an entry, and a path may have more references). The last of a row may be
partial: ``tile/0/000.p/17``. None of them ever changes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from nixgen.log import merkle
from nixgen.log.checkpoint import root_text
from nixgen.log.findings import damaged
from nixgen.log.stores.model import LONGEST, Storage

WIDTH = 256
HEIGHT = 8
CHECKPOINT = "checkpoint"
BUNDLE = LONGEST
"""Bytes of the lines of one bundle, at most."""
_LINES = "lines"
_KEPT = 1024  # tiles in memory: 8 MiB
_DIGITS = 1000


def tile_name(level: int | str, number: int, width: int = WIDTH) -> str:
    """A tile's file: ``tile/0/x001/x234/067``, with ``.p/W`` for a partial one."""
    parts = [f"{number % _DIGITS:03}"]
    while number := number // _DIGITS:
        parts.append(f"x{number % _DIGITS:03}")
    name = f"tile/{level}/{'/'.join(reversed(parts))}"
    return name if width == WIDTH else f"{name}.p/{width}"


class Tiles:
    """The hashes and lines of a log of ``size`` entries, as a store has them.

    With a ``root``, every tile and bundle is checked before it is used: a full tile against the hash in the tile above
    it, the partial ones, which have none above, against the root. ``ahead`` are files that are not written yet.
    """

    def __init__(
        self, storage: Storage, size: int, root: bytes | None, ahead: Mapping[str, bytes] | None = None
    ) -> None:
        self.storage = storage
        self.size = size
        self._root = root
        self._ahead = ahead or {}
        self._kept: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._edge: dict[int, bytes] | None = None

    def tile(self, level: int, number: int) -> bytes:
        """A tile's hashes, one behind the other. Raises LogFinding when it is missing or is not the log's."""
        edge = self._edges()
        if self._width(level, number) != WIDTH:
            return edge[level]
        key = (level, number)
        if (found := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            return found
        found = self._read(level, number, WIDTH)
        if self._root is not None and merkle.row_hash(split(found)) != self.perfect(HEIGHT * (level + 1), number):
            raise damaged(self._named(level, number), "holds other hashes than those of the checkpoint")
        self._kept[key] = found
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return found

    def lines(self, number: int) -> list[bytes]:
        """The lines of a bundle. Raises LogFinding when it is missing or is not the log's."""
        width = self._width(0, number)
        data = self._file(_LINES, number, width)
        found = data.split(b"\n", width)
        if len(found) <= width:
            long = len(data) >= BUNDLE
            what = f"is longer than {BUNDLE >> 20} MiB" if long else f"has not {width} whole lines"
            raise damaged(self._named(_LINES, number), what)
        del found[width:]  # where it is the full bundle, there are more
        if self._root is not None and b"".join(map(merkle.leaf_hash, found)) != self.tile(0, number):
            raise damaged(self._named(_LINES, number), "holds other entries than those of the checkpoint")
        return found

    def perfect(self, height: int, index: int) -> bytes:
        """The hash of a perfect subtree (:data:`merkle.Perfect`)."""
        level, above = divmod(height, HEIGHT)
        number, first = divmod(index << above, WIDTH)
        row = self.tile(level, number)[first * merkle.LENGTH : (first + (1 << above)) * merkle.LENGTH]
        return merkle.row_hash(split(row)) if above else row

    def root(self, size: int | None = None) -> bytes:
        """The root that the tiles give for the first ``size`` entries (all, if not given)."""
        return merkle.root(self.size if size is None else size, self.perfect)

    def _edges(self) -> dict[int, bytes]:
        """The partial tile of each level that has one. They hold just what the root is made from."""
        if self._edge is not None:
            return self._edge
        self._edge = {}
        for level in range(-(-self.size.bit_length() // HEIGHT)):
            count = self.size >> (HEIGHT * level)
            if width := count % WIDTH:
                self._edge[level] = self._read(level, count // WIDTH, width)
        if self._root is not None and (found := self.root()) != self._root:
            self._edge = None
            what = f"its tiles lead to the root {root_text(found)}, and the checkpoint says {root_text(self._root)}"
            raise damaged(self.storage.where, what)
        return self._edge

    def _width(self, level: int, number: int) -> int:
        return min(WIDTH, (self.size >> (HEIGHT * level)) - number * WIDTH)

    def _read(self, level: int, number: int, width: int) -> bytes:
        found = self._file(level, number, width)
        if len(found) < width * merkle.LENGTH:
            raise damaged(self._named(level, number), f"has {len(found)} bytes, not {width * merkle.LENGTH}")
        return found[: width * merkle.LENGTH]

    def _file(self, level: int | str, number: int, width: int) -> bytes:
        names = [tile_name(level, number, width)]
        limit = BUNDLE if level == _LINES else WIDTH * merkle.LENGTH
        if width != WIDTH:
            names.append(tile_name(level, number))  # a partial tile may go when it has become full
        for name in names:
            found = self._ahead.get(name)
            found = self.storage.read(name, limit) if found is None else found
            if found is not None:
                return found
        raise damaged(f"{self.storage.where}: {names[0]}", "is missing")

    def _named(self, level: int | str, number: int) -> str:
        width = self._width(level if isinstance(level, int) else 0, number)
        return f"{self.storage.where}: {tile_name(level, number, width)}"


def split(row: bytes) -> list[bytes]:
    """The hashes of a tile."""
    return [row[at : at + merkle.LENGTH] for at in range(0, len(row), merkle.LENGTH)]


def grown(old: Tiles, lines: Sequence[bytes]) -> dict[str, bytes]:
    """The files that a log gets when these lines are added: by name, bundles first, then each level's tiles."""
    files: dict[str, bytes] = {}
    rest = old.size % WIDTH
    before = old.lines(old.size // WIDTH) if rest and lines else []
    for name, row in _rows(_LINES, old.size - rest, [*before, *lines]):
        files[name] = b"".join(line + b"\n" for line in row)
    level, hashes = 0, [merkle.leaf_hash(line) for line in lines]
    while hashes:
        count = old.size >> (HEIGHT * level)
        rest = count % WIDTH
        row = [*split(old.tile(level, count // WIDTH)), *hashes] if rest else hashes
        files |= {name: b"".join(part) for name, part in _rows(level, count - rest, row)}
        hashes = [merkle.row_hash(row[at : at + WIDTH]) for at in range(0, len(row) - WIDTH + 1, WIDTH)]
        level += 1
    return files


def filled(files: Mapping[str, bytes]) -> list[str]:
    """The folders of partial tiles that are not needed any more, once these files are written."""
    return [f"{name}.p" for name in files if ".p/" not in name]


def _rows(level: int | str, first: int, row: Sequence[bytes]) -> list[tuple[str, Sequence[bytes]]]:
    parts = [(at, row[at : at + WIDTH]) for at in range(0, len(row), WIDTH)]
    return [(tile_name(level, (first + at) // WIDTH, len(part)), part) for at, part in parts]
