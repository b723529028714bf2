"""What a builder must know of an ELF file: whether it is one, and whether it starts by an interpreter path.

Source of the layout: the System V ABI, chapter 4 and 5, and elf(5). Only 64-bit little-endian files are read: every
system that the debian and nixpkgs bases serve is one. Anything else counts as data.
"""

import struct

_MAGIC = b"\x7fELF\x02\x01"
_PT_DYNAMIC, _PT_INTERP = 2, 3
_ET_EXEC, _ET_DYN = 2, 3
_DT_RUNPATH, _DT_RPATH, _DT_FLAGS_1 = 29, 15, 0x6FFFFFFB
_DF_1_PIE = 0x08000000
_MACHO = (b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
MACHINES = {"x86_64": 62, "aarch64": 183}


class Elf:
    """The facts of one file: machine, interpreter (bytes or None), needs a run path, is a program."""

    def __init__(self, data):
        kind, self.machine = struct.unpack_from("<HH", data, 16)
        offset, = struct.unpack_from("<Q", data, 32)
        size, count = struct.unpack_from("<HH", data, 54)
        self.interpreter = None
        tags = {}
        for index in range(count):
            where = offset + index * size
            p_type, = struct.unpack_from("<I", data, where)
            p_offset, = struct.unpack_from("<Q", data, where + 8)
            p_filesz, = struct.unpack_from("<Q", data, where + 32)
            if p_type == _PT_INTERP:
                self.interpreter = bytes(data[p_offset : p_offset + p_filesz]).rstrip(b"\0")
            elif p_type == _PT_DYNAMIC:
                tags = dict(struct.iter_unpack("<qQ", data[p_offset : p_offset + p_filesz // 16 * 16]))
        self.dynamic = bool(tags)
        self.has_runpath = _DT_RUNPATH in tags or _DT_RPATH in tags
        pie = kind == _ET_DYN and bool(tags.get(_DT_FLAGS_1, 0) & _DF_1_PIE)
        self.program = self.interpreter is not None and (kind == _ET_EXEC or pie)


def read(data):
    """The :class:`Elf` of these bytes, or None when they are not a well-formed 64-bit little-endian ELF file."""
    if bytes(data[:6]) != _MAGIC:
        return None
    try:
        return Elf(data)
    except struct.error:
        return None


def is_native(data):
    """Whether these bytes are a shared object or program that the system's loader reads (ELF or Mach-O)."""
    return bytes(data[:4]) in (_MAGIC[:4], *_MACHO)
