"""A wheel's archive, read strictly and fast: the ZIP directory, mapped into memory.

The standard library's zipfile would do, but importing it takes longer than installing a small wheel, and a store wants
stricter reading: each name once, none that leaves the folder, sizes that are true. Source of the layout: PKWARE's
APPNOTE.TXT, sections 4.3 (records) and 4.5.3 (ZIP64).
"""

import mmap
import os
import struct
import zlib

_END, _END64, _LOCATOR64, _ENTRY, _LOCAL = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x01\x02", b"PK\x03\x04"
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _UTF8 = 0x0001, 0x0800
_BIG16, _BIG32 = 0xFFFF, 0xFFFFFFFF
# No more bytes than these can come out of one byte (https://zlib.net/zlib_tech.html, "Maximum Compression Factor").
_MOST_INFLATED = 1032
# Below this many bytes, loading a faster library takes longer than it saves.
_WORTH_A_LIBRARY = 2_000_000
# More than any wheel has: the largest have 30,000 files, and folders fifteen deep.
_MOST_MEMBERS, _LONGEST_NAME, _DEEPEST = 250_000, 1024, 100
# A member is read in one piece if it is no larger than this, or than so many times its packed size: so what is
# allocated depends on the size that the file truly has, not on one that it gives.
_PIECE, _USUALLY_INFLATED = 1 << 25, 8


_NOT_TRUE = "is damaged, or not of the size that the directory gives"


class Damaged(Exception):
    """The archive is not a well-formed wheel; holds every problem as a sentence."""

    def __init__(self, *problems):
        super().__init__(*problems)
        self.problems = problems


class Member:
    """One file: its name, where its local header starts, its sizes in bytes, its method, whether it is a program."""

    __slots__ = ("name", "offset", "packed", "size", "method", "executable")

    def __init__(self, name, offset, packed, size, method, executable):
        self.name, self.offset, self.packed = name, offset, packed
        self.size, self.method, self.executable = size, method, executable

    @property
    def in_one_piece(self):
        """Whether read() gives its content; pieces() always does."""
        return self.size <= max(_PIECE, self.packed * _USUALLY_INFLATED)


class Archive:
    """The files of an archive by name; folders are left out."""

    def __init__(self, path, fast_library=""):
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size < 22:
                raise Damaged("not a ZIP archive")
            # A private mapping, since ctypes gives the address of a writable one only; nothing writes to it.
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        try:
            entries = self._directory()
        except (struct.error, UnicodeDecodeError) as error:
            raise Damaged(f"its directory is damaged: {error}") from None
        _check(entries)
        self.members = {member.name: member for member, _ in entries if not member.name.endswith("/")}
        self._view = memoryview(self._data)
        self._inflate = _zlib_inflate
        if fast_library and sum(member.packed for member in self.members.values()) > _WORTH_A_LIBRARY:
            largest = max((member.size for member in self.members.values() if member.in_one_piece), default=0)
            self._inflate = _libdeflate(fast_library, self._data, largest)

    def _directory(self):
        """Every entry of the central directory as (member, flags)."""
        data = self._data
        end = data.rfind(_END, max(0, len(data) - 22 - _BIG16), len(data) - 18)
        if end < 0:
            raise Damaged("not a ZIP archive")
        count, size, offset = struct.unpack_from("<HII", data, end + 10)
        if data[end - 20 : end - 16] == _LOCATOR64:
            (end64,) = struct.unpack_from("<Q", data, end - 12)
            if data[end64 : end64 + 4] != _END64:
                raise Damaged("its ZIP64 directory is not where it should be")
            count, size, offset = struct.unpack_from("<QQQ", data, end64 + 32)
        if count > _MOST_MEMBERS:
            raise Damaged(f"it says that it has {count} files, and at most {_MOST_MEMBERS} are read")
        entries, where = [], offset
        for _ in range(count):
            if data[where : where + 4] != _ENTRY:
                raise Damaged("its directory is shorter than it says")
            flags, method = struct.unpack_from("<HH", data, where + 8)
            packed, full, name_size, extra_size, comment_size = struct.unpack_from("<IIHHH", data, where + 20)
            mode, start = struct.unpack_from("<II", data, where + 38)
            name = data[where + 46 : where + 46 + name_size].decode("utf-8" if flags & _UTF8 else "cp437")
            extra = where + 46 + name_size
            if _BIG32 in (packed, full, start):
                full, packed, start = self._zip64(extra, extra_size, full, packed, start)
            entries.append((Member(name, start, packed, full, method, bool(mode >> 16 & 0o111)), flags))
            where = extra + extra_size + comment_size
        if where - offset != size:
            raise Damaged("its directory is not of the size that it says")
        return entries

    def _zip64(self, where, length, *values):
        """The 64-bit values from the extra field, in their fixed order, for those that did not fit."""
        end = where + length
        while where < end:
            tag, size = struct.unpack_from("<HH", self._data, where)
            where += 4
            if tag == 1:
                wide = iter(struct.unpack_from(f"<{size // 8}Q", self._data, where))
                return [next(wide, value) if value == _BIG32 else value for value in values]
            where += size
        return values

    def read(self, name):
        """The content of a member, of exactly the size that the directory gives. Good until the next call."""
        member = self.members[name]
        if not member.in_one_piece:
            raise Damaged(f"the member {name!r} is too large to be read: {member.size} bytes out of {member.packed}")
        start, raw = self._packed(member)
        content = raw if member.method == _STORED else self._inflate(raw, start, member.size)
        if content is None or len(content) != member.size:
            raise Damaged(f"the member {name!r} {_NOT_TRUE}")
        return content

    def pieces(self, name):
        """The same in pieces, for a member of any size."""
        member = self.members[name]
        _, rest = self._packed(member)
        inflater, size, length = zlib.decompressobj(-15), 0, _PIECE // 32
        stored = member.method == _STORED
        while rest:
            try:
                piece = rest[:length] if stored else inflater.decompress(rest[:length], length)
            except zlib.error:
                raise Damaged(f"the member {name!r} {_NOT_TRUE}") from None
            used = len(piece) if stored else min(length, len(rest)) - len(inflater.unconsumed_tail)
            size += len(piece)
            if size > member.size or (not piece and not used):
                break
            yield piece
            rest = rest[used:]
        if not stored and (piece := inflater.flush()):
            size += len(piece)
            yield piece
        if size != member.size:
            raise Damaged(f"the member {name!r} {_NOT_TRUE}")

    def _packed(self, member):
        """Where the packed content of a member starts, and these bytes."""
        header = self._data[member.offset : member.offset + 30]
        name_size, extra_size = struct.unpack_from("<HH", header, 26) if len(header) == 30 else (0, 0)
        start = member.offset + 30 + name_size + extra_size
        raw = self._view[start : start + member.packed]
        if header[:4] != _LOCAL or len(raw) != member.packed:
            raise Damaged(f"the member {member.name!r} is not where the directory says")
        return start, raw


def _check(entries):
    """Refuses names and methods that an installer must not follow."""
    problems, seen = [], set()
    for member, flags in entries:
        name = member.name
        parts = name.split("/", _DEEPEST + 1)
        if len(name) > _LONGEST_NAME or len(parts) > _DEEPEST:
            problems.append(f"the member {name[:80]!r}… has a name that is too long or too deep")
            continue
        if "\0" in name or "\\" in name or name.startswith("/") or ".." in parts or "." in parts or "" in parts[:-1]:
            problems.append(f"the member {name!r} would be written outside the wheel's own folder")
        elif not name.isprintable() and any(char < " " or char == "\x7f" for char in name):
            problems.append(f"the member {name!r} has control characters in its name")
        elif name in seen:
            problems.append(f"the member {name!r} is there twice")
        elif member.method not in (_STORED, _DEFLATED) or flags & _ENCRYPTED:
            problems.append(f"the member {name!r} is packed in a way that wheels do not use")
        elif member.size > member.packed * _MOST_INFLATED or (member.method == _STORED and member.size != member.packed):
            problems.append(f"the member {name!r} {_NOT_TRUE}")
        seen.add(name)
    problems += [f"the member {name!r} is a file and a folder" for name in files_and_folders(seen)]
    if problems:
        raise Damaged(*problems)


def files_and_folders(names):
    """Those of the paths that are a file and, in another, a folder; sorted."""
    # In this order what lies in a folder follows at once on a file of the folder's name.
    keys = sorted(name.replace("/", "\0") for name in names)
    return sorted(
        key.replace("\0", "/")
        for index, key in enumerate(keys[:-1])
        if not key.endswith("\0") and keys[index + 1].startswith(key + "\0")
    )


def _zlib_inflate(raw, _start, size):
    """Inflates with zlib; None when the data is damaged."""
    try:
        return zlib.decompressobj(-15).decompress(raw, size + 1)
    except zlib.error:
        return None


def _libdeflate(path, data, largest):
    """An inflate function by libdeflate: half of zlib's time, and every member into the same memory."""
    import ctypes

    library = ctypes.CDLL(path)
    library.libdeflate_alloc_decompressor.restype = pointer = ctypes.c_void_p
    size_t = ctypes.c_size_t
    library.libdeflate_deflate_decompress.argtypes = [pointer, pointer, size_t, pointer, size_t, pointer]
    state = library.libdeflate_alloc_decompressor()
    source = ctypes.addressof(ctypes.c_char.from_buffer(data))
    memory = bytearray(max(largest, 1))
    target = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    view = memoryview(memory)

    def inflate(raw, start, size):
        # With no place for the true size, anything but exactly `size` bytes is an error.
        status = library.libdeflate_deflate_decompress(state, source + start, len(raw), target, size, None)
        return view[:size] if status == 0 else None

    return inflate
