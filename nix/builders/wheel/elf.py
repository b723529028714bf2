"""What a builder must know of an ELF file: whether it is one, how it starts, and which libraries it asks for.

Source of the layout: the System V ABI, chapter 4 and 5, and elf(5). Only 64-bit little-endian files are read: every
system that the debian and nixpkgs bases serve is one. Anything else counts as data. No size is taken from the file
without a bound: what is longer than a real one ever is makes the file data, too.
"""

import struct

_MAGIC = b"\x7fELF\x02\x01"
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_ET_EXEC, _ET_DYN = 2, 3
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_SONAME, _DT_RPATH, _DT_RUNPATH, _DT_FLAGS_1 = 0, 1, 5, 14, 15, 29, 0x6FFFFFFB
_DF_1_PIE = 0x08000000
_MACHO = (b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
# A path is no longer than 4 KiB (PATH_MAX); the largest dynamic sections have some hundred entries of 16 bytes.
_LONGEST_TEXT, _LARGEST_DYNAMIC = 4096, 1 << 16
MACHINES = {"x86_64": 62, "aarch64": 183}


class Elf:
    """The facts of one file.

    ``machine``; ``interpreter`` (bytes or None); ``program``: is started by the loader that it names; ``started``: is no
    library, and no part of one; ``dynamic``: has a dynamic section;
    ``needed`` (sonames); ``soname`` (or ""); ``search``: folders of its own, as they are written; ``runpath``: whether
    these are a RUNPATH, beside which the program's RPATH does not count (ld.so(8)).
    """

    def __init__(self, data):
        kind, self.machine = struct.unpack_from("<HH", data, 16)
        offset, = struct.unpack_from("<Q", data, 32)
        size, count = struct.unpack_from("<HH", data, 54)
        self.interpreter, tags = None, []
        loads = []
        for index in range(count):
            p_type, _, p_offset, p_vaddr, _, p_filesz = struct.unpack_from("<IIQQQQ", data, offset + index * size)
            if p_type == _PT_LOAD:
                loads.append((p_vaddr, p_filesz, p_offset))
            elif p_type == _PT_INTERP and self.interpreter is None:
                self.interpreter = bytes(data[p_offset : p_offset + min(p_filesz, _LONGEST_TEXT)]).rstrip(b"\0")
            elif p_type == _PT_DYNAMIC and not tags:
                tags = list(struct.iter_unpack("<qQ", data[p_offset : p_offset + min(p_filesz, _LARGEST_DYNAMIC) // 16 * 16]))
        self.dynamic = bool(tags)
        self.needed, self.soname, self.search, self.runpath = self._names(data, tags, loads)
        known = dict(tags)
        self.has_runpath = _DT_RUNPATH in known or _DT_RPATH in known
        pie = kind == _ET_DYN and bool(known.get(_DT_FLAGS_1, 0) & _DF_1_PIE)
        self.started = kind == _ET_EXEC or pie
        self.program = self.interpreter is not None and self.started

    @staticmethod
    def _names(data, tags, loads):
        """What the dynamic section says in words; nothing where its strings lie nowhere."""
        tags = tags[: next((index for index, (tag, _) in enumerate(tags) if tag == _DT_NULL), None)]
        table = dict(tags).get(_DT_STRTAB, -1)
        start = next((table - address + place for address, length, place in loads if 0 <= table - address < length), None)

        def texts(wanted):
            for tag, value in tags if start is not None else ():
                if tag == wanted and start + value < len(data):
                    found = bytes(data[start + value : start + value + _LONGEST_TEXT]).partition(b"\0")[0]
                    yield found.decode("utf-8", "surrogateescape")

        run, old = next(texts(_DT_RUNPATH), None), next(texts(_DT_RPATH), "")
        folders = [folder for folder in (old if run is None else run).split(":") if folder]
        return list(texts(_DT_NEEDED)), next(texts(_DT_SONAME), ""), folders, run is not None


def read(data):
    """The :class:`Elf` of these bytes, or None when they are not a well-formed 64-bit little-endian ELF file."""
    if bytes(data[:6]) != _MAGIC:
        return None
    try:
        return Elf(data)
    except (struct.error, OverflowError):
        return None


def is_native(data):
    """Whether these bytes are a shared object or program that the system's loader reads (ELF or Mach-O)."""
    return bytes(data[:4]) in (_MAGIC[:4], *_MACHO)
