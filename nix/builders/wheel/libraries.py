"""Which libraries a process finds by their names: the loader's cache, and the same for ctypes.util.find_library.

The loader asks its cache for whatever neither a library's own search path nor the program's has: so what is in it is
found by every library, also by one with a RUNPATH, and by dlopen. Layout: glibc's sysdeps/generic/dl-cache.h, "struct
cache_file_new", as ldconfig writes it since 2.32 (``--format=new``).
"""

import os
import struct

import elf

CACHE, LIST = "ld.so.cache", "ld.so.libraries"
_MAGIC, _LITTLE_ENDIAN = b"glibc-ld.so.cache1.1", 2
_HEADER, _ENTRY = struct.Struct("<20sIIB3xI12x"), struct.Struct("<iIIIQ")
# FLAG_ELF_LIBC6 with the flag of the machine's 64-bit libraries (dl-cache.h).
_KIND = {62: 0x0303, 183: 0x0A03}
# Appended to the standard library's ctypes/util.py; that asks ldconfig, gcc and ld, which are the machine's.
FIND_LIBRARY = '''

def find_library(name):
    """The soname of a library that this environment's loader finds; what the machine has elsewhere does not count."""
    import sys

    try:
        with open(f"{sys.base_prefix}/lib/%s", encoding="utf-8") as file:
            for soname in file.read().splitlines():
                if soname.startswith(f"lib{name}."):
                    return soname
    except OSError:
        pass
    return None
''' % LIST


def _order(name):
    """The order of the cache, upside down: runs of digits count as numbers, and are more than anything else."""
    key, digits = [], ""
    for char in name + "\0":
        if char in "0123456789":
            digits += char
            continue
        if digits:
            # glibc counts in 32 bits with a sign.
            key.append((1, (int(digits) + 2**31) % 2**32 - 2**31))
            digits = ""
        key.append((0, ord(char)))
    return key


def find(folders, machine):
    """What the loader can find in these folders, the first first: {name: (path, soname)} for each file's names."""
    found, known = {}, {}
    for folder in folders:
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            path = f"{folder}/{name}"
            if ".so" not in name or not os.path.isfile(path):
                continue
            real = os.path.realpath(path)
            if real not in known:
                with open(real, "rb") as file:
                    known[real] = elf.read(file.read()) if elf.is_native(file.read(4)) and not file.seek(0) else None
            facts = known[real]
            if facts is None or facts.machine != machine or not facts.dynamic:
                continue
            for key in (name, facts.soname or name):
                found.setdefault(key, (path, facts.soname or name))
    return found


def write(folder, search, machine):
    """Writes both files into a folder; returns the names that they hold."""
    found = find(search, machine)
    names = sorted(found, key=_order, reverse=True)
    texts, place = bytearray(), {}
    start = _HEADER.size + _ENTRY.size * len(names)
    for text in (text for name in names for text in (name, found[name][0])):
        if text not in place:
            place[text] = start + len(texts)
            texts += text.encode() + b"\0"
    entries = b"".join(_ENTRY.pack(_KIND[machine], place[name], place[found[name][0]], 0, 0) for name in names)
    with open(f"{folder}/{CACHE}", "wb") as file:
        file.write(_HEADER.pack(_MAGIC, len(names), len(texts), _LITTLE_ENDIAN, 0) + entries + texts)
    with open(f"{folder}/{LIST}", "w", encoding="utf-8") as file:
        file.writelines(f"{name}\n" for name in names if found[name][1] == name)
    return names
