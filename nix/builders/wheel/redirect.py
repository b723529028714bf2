"""Leads a path that is compiled into glibc to a longer one: what is on the host to what is in the store.

A longer path does not fit where the old one stands. So it is written over a text that nothing needs at run time (the
loader's help, the library's banner), and the instructions that take the old one's address take the new one's: on x86_64
``lea``, on aarch64 ``adrp`` with ``add`` (Intel's manual, volume 2; Arm's A64 instruction set). A path that no
instruction takes is an error: then this glibc was compiled in another way.
"""

import re
import struct

_LOAD, _EXECUTABLE = 1, 1
_X86_64, _AARCH64 = 62, 183
# So much room has each path, so that another tree's can take its place later.
SLOT = 128
_ADR, _ADRP, _ADR_MASK = 0x10000000, 0x90000000, 0x9F000000
_ADD, _ADD_MASK = 0x91000000, 0xFFC00000
# How many instructions after an `adrp` its `add` is looked for.
_NEAR = 16


class Unknown(Exception):
    """The file is not as expected; says in which way."""


def redirect(data, room, paths):
    """The file's bytes with each of ``paths`` {old: new} redirected; ``room`` is a pattern for the text to write over."""
    data = bytearray(data)
    where = re.search(room, data)
    if where is None or len(where[0]) < SLOT * len(paths):
        raise Unknown(f"there is no text of {SLOT * len(paths)} bytes to write over")
    data[where.start() : where.end()] = bytes(len(where[0]))
    for index, (old, new) in enumerate(paths.items()):
        if len(new) >= SLOT:
            raise Unknown(f"{new.decode()} is too long")
        place = where.start() + index * SLOT
        data[place : place + len(new)] = new
        olds = [hit.start() + 1 for hit in re.finditer(b"\0" + re.escape(old) + b"(?=\0)", data)]
        if sum(_take(data, _address(data, one), _address(data, place)) for one in olds) == 0:
            raise Unknown(f"no instruction takes the address of {old.decode()}")
    return bytes(data)


def again(data, old, new):
    """The same for what was redirected before: paths in the tree ``old`` become paths in ``new``."""
    for hit in re.finditer(b"(?<=\0)" + re.escape(old) + b"([^\0]*)\0", data):
        if len(new + hit[1]) >= SLOT:
            raise Unknown(f"{(new + hit[1]).decode()} is too long")
        data = data[: hit.start()] + (new + hit[1]).ljust(SLOT, b"\0") + data[hit.start() + SLOT :]
    return data


def _segments(data):
    """The parts of the file that are loaded: (flags, offset, address, size)."""
    offset, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for index in range(count):
        kind, flags, start, address, _, length = struct.unpack_from("<IIQQQQ", data, offset + index * size)
        if kind == _LOAD:
            yield flags, start, address, length


def _address(data, place):
    """The address of what stands at a place in the file."""
    return next(address + place - start for _, start, address, size in _segments(data) if start <= place < start + size)


def _take(data, old, new):
    """Lets every instruction that takes the address ``old`` take ``new``; how many there are."""
    machine, = struct.unpack_from("<H", data, 18)
    take = {_X86_64: _take_x86_64, _AARCH64: _take_aarch64}[machine]
    return sum(take(data, start, address, size, old, new) for flags, start, address, size in _segments(data) if flags & _EXECUTABLE)


def _take_x86_64(data, start, address, size, old, new):
    """``lea REGISTER, [rip + distance]``: the distance counts from the next instruction, 7 bytes on."""
    count = 0
    for hit in re.finditer(rb"(?=[\x48\x4c]\x8d[\x05\x0d\x15\x1d\x25\x2d\x35\x3d])", data[start : start + size]):
        at = start + hit.start()
        distance, = struct.unpack_from("<i", data, at + 3)
        behind = address + hit.start() + 7
        if behind + distance == old:
            struct.pack_into("<i", data, at + 3, new - behind)
            count += 1
    return count


def _take_aarch64(data, start, address, size, old, new):
    """``adrp`` gives a page, ``add`` the place in it; within a megabyte, one ``adr`` gives both."""
    count = 0
    words = struct.unpack_from(f"<{size // 4}I", data, start)
    for index, word in enumerate(words):
        here = address + 4 * index
        if word & _ADR_MASK != _ADRP or (here >> 12) + _immediate(word) != old >> 12:
            continue
        register = word & 31
        for behind in range(index + 1, min(index + _NEAR, len(words))):
            other = words[behind]
            if other & _ADD_MASK == _ADD and other >> 5 & 31 == register and other >> 10 & 0xFFF == old & 0xFFF:
                distance = new - (address + 4 * behind)
                if abs(distance) < 1 << 20:
                    struct.pack_into("<I", data, start + 4 * behind, _ADR | _spread(distance) | other & 31)
                elif other & 31 == register:
                    pages = (new >> 12) - (here >> 12)
                    struct.pack_into("<I", data, start + 4 * index, _ADRP | _spread(pages) | register)
                    struct.pack_into("<I", data, start + 4 * behind, other & ~(0xFFF << 10) | (new & 0xFFF) << 10)
                else:
                    raise Unknown(f"the instruction at {here:#x} cannot reach so far")
                count += 1
                break
            if other & 31 == register and other & _ADR_MASK in (_ADR, _ADRP):
                break
    return count


def _immediate(word):
    """The number in an ``adr`` or ``adrp``: 21 bits with a sign."""
    number = (word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3
    return number - (number >> 20 << 21)


def _spread(number):
    """The same number as bits of the instruction."""
    return (number & 3) << 29 | (number >> 2 & 0x7FFFF) << 5
