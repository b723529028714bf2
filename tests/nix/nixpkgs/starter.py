"""Python's program as nixpkgs builds it: nothing but a call of Py_BytesMain in the shared library, for x86_64.

What a compiler makes of `int main(int n, char **words) { return Py_BytesMain(n, words); }` and the C library's start
file, put together by hand, since the base for tests has no compiler. Layout: the System V ABI, chapters 4 and 5.
"""

from __future__ import annotations

import struct

_EXEC, _DYN, _X86_64 = 2, 3, 62
_LOAD, _DYNAMIC, _INTERP, _NOTE, _PHDR, _STACK = 1, 2, 3, 4, 6, 0x6474E551
_NEEDED, _HASH, _STRTAB, _SYMTAB, _RELA, _RELASZ, _RELAENT, _STRSZ, _SYMENT = 1, 4, 5, 6, 7, 8, 9, 10, 11
_GLOB_DAT = 6
_PAGE = 0x1000
_SYMBOLS = ("Py_BytesMain", "__libc_start_main")
# The start of a program (the psABI's 3.4.1): what the kernel put on the stack becomes arguments, aligned to 16 bytes.
_START = bytes.fromhex("31ed 4989d1 5e 4889e2 4883e4f0 50 54 4531c0 31c9")
_MAIN, _CALL, _HALT = bytes.fromhex("488b3d"), bytes.fromhex("ff15"), b"\xf4"


def program(library: str) -> bytes:
    """The bytes of the program; ``library`` is the soname of Python's."""
    strings, names = b"\0", {}
    for text in (*_SYMBOLS, library, "libc.so.6"):
        names[text], strings = len(strings), strings + text.encode() + b"\0"
    symbols = bytes(24) + b"".join(struct.pack("<IBBHQQ", names[one], 0x12, 0, 0, 0, 0) for one in _SYMBOLS)
    hashed = struct.pack("<6I", 1, 3, 0, 0, 0, 0)  # one bucket, which is empty: nothing is looked for here
    interpreter = b"/lib64/ld-linux-x86-64.so.2\0"
    note = struct.pack("<3I4s", 4, 0, 1, b"own\0")
    count = 7
    parts, place = {}, 64 + 56 * count
    for name, content in (
        ("interp", interpreter), ("note", note), ("hash", hashed), ("symbols", symbols), ("strings", strings)
    ):  # fmt: skip
        place += -place % 8
        parts[name] = (place, content)
        place += len(content)
    data = _PAGE  # the second segment: what the loader fills in
    got = [data, data + 8]
    relocations = b"".join(struct.pack("<QQq", got[at], (at + 1) << 32 | _GLOB_DAT, 0) for at in (0, 1))
    parts["relocations"] = (place := place + -place % 8, relocations)
    code = place = place + len(relocations) + 16
    at = place + len(_START)
    text = _START + _MAIN + struct.pack("<i", got[0] - (at + 7)) + _CALL + struct.pack("<i", got[1] - (at + 13)) + _HALT
    parts["text"] = (code, text)
    tags = [(_NEEDED, names[library]), (_NEEDED, names["libc.so.6"]), (_HASH, parts["hash"][0])]
    tags += [(_STRTAB, parts["strings"][0]), (_SYMTAB, parts["symbols"][0]), (_STRSZ, len(strings)), (_SYMENT, 24)]
    tags += [(_RELA, parts["relocations"][0]), (_RELASZ, len(relocations)), (_RELAENT, 24), (0, 0)]
    dynamic = b"".join(struct.pack("<qQ", *tag) for tag in tags)
    end = code + len(text)
    written = 16 + len(dynamic)

    def header(kind: int, flags: int, start: int, size: int, align: int) -> bytes:
        return struct.pack("<IIQQQQQQ", kind, flags, start, start, start, size, size, align)

    headers = [
        header(_PHDR, 4, 64, 56 * count, 8),
        header(_INTERP, 4, parts["interp"][0], len(interpreter), 1),
        header(_LOAD, 5, 0, end, _PAGE),
        header(_LOAD, 6, data, written, _PAGE),
        header(_DYNAMIC, 6, data + 16, len(dynamic), 8),
        header(_NOTE, 4, parts["note"][0], len(note), 4),
        header(_STACK, 6, 0, 0, 16),
    ]
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    first = ident + struct.pack("<HHIQQQIHHHHHH", _DYN, _X86_64, 1, code, 64, 0, 0, 64, 56, count, 64, 0, 0)
    made = bytearray(data + written)
    made[: 64 + 56 * count] = first + b"".join(headers)
    for start, content in (*parts.values(), (data + 16, dynamic)):
        made[start : start + len(content)] = content
    return bytes(made)
