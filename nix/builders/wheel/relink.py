"""Gives an ELF file another interpreter path, search path, or more libraries that it needs.

All that is new goes into one segment at the end of the file: the dynamic section, its strings and the interpreter path.
Nothing else moves, so nothing breaks: patchelf shifts what is there, and each of its versions spoils other programs
(0.18 gcc's cc1, and Python itself at the second run). The segment's program header is one that nothing needs at run
time; a file that was written here before has its segment replaced.

Source of the layout: the System V ABI, chapters 4 and 5, and elf(5); 64-bit, little-endian (elf.py).
"""

import struct

_LOAD, _DYNAMIC, _INTERP, _NOTE, _PROPERTY, _RELRO = 1, 2, 3, 4, 0x6474E553, 0x6474E552
_NULL, _NEEDED, _STRTAB, _STRSZ, _RPATH, _RUNPATH = 0, 1, 5, 10, 15, 29
_HEADER, _TAG = struct.Struct("<IIQQQQQQ"), struct.Struct("<qQ")
_TYPE, _OFFSET, _ADDRESS, _PHYSICAL, _SIZE, _MEMORY, _ALIGN = 0, 2, 3, 4, 5, 6, 7
_WRITABLE = 6
# Far more than any file has: the largest need some hundred libraries, and name folders by paths of some hundred bytes.
_MOST_TAGS, _LONGEST_TEXT = 2048, 1 << 14


class Unwritable(Exception):
    """The file is damaged, or none of its program headers can be given up."""


# What a damaged file makes of reading and writing tables.
_DAMAGE = (struct.error, ArithmeticError, LookupError, ValueError)


class File:
    """A file to be written anew: change ``interpreter``, ``rpath`` (folders) and ``needed`` (sonames), then write().

    ``extra`` are bytes to load with it: after write(), ``extra_address`` says where. Such a file is not replaced later.
    """

    def __init__(self, data):
        self.data, self.extra, self.extra_address = bytearray(data), b"", None
        try:
            self.read(data)
        except _DAMAGE:
            raise Unwritable("its program headers or its dynamic section are damaged") from None

    def read(self, data):
        """The program headers, and what the dynamic section says."""
        offset, = struct.unpack_from("<Q", data, 32)
        size, count = struct.unpack_from("<HH", data, 54)
        if size != _HEADER.size:
            raise ValueError(size)
        self.table = offset
        self.headers = [list(_HEADER.unpack_from(data, offset + size * index)) for index in range(count)]
        self.loads = [header for header in self.headers if header[_TYPE] == _LOAD]
        self.dynamic, self.interp = self.first(_DYNAMIC), self.first(_INTERP)
        self.tags, self.strings, self.strtab = [], b"", None
        if self.dynamic:
            for tag, value in _TAG.iter_unpack(self.content(self.dynamic)[: self.dynamic[_SIZE] // 16 * 16]):
                if tag == _NULL:
                    break
                self.tags.append((tag, value))
                if len(self.tags) > _MOST_TAGS:
                    raise ValueError(len(self.tags))
            values = dict(self.tags)
            self.strtab = values[_STRTAB]
            start = self.place(self.strtab)
            self.strings = bytes(self.data[start : start + values[_STRSZ]])
        self.interpreter = self.content(self.interp).rstrip(b"\0") if self.interp else b""
        path = next((self.text(value) for tag, value in self.tags if tag == _RUNPATH), None)
        path = next((self.text(value) for tag, value in self.tags if tag == _RPATH), "") if path is None else path
        self.rpath = [folder for folder in path.split(":") if folder]
        self.needed = [self.text(value) for tag, value in self.tags if tag == _NEEDED]

    def first(self, kind):
        """The first program header of a kind, None if there is none."""
        return next((header for header in self.headers if header[_TYPE] == kind), None)

    def content(self, header):
        """The bytes of a segment."""
        return bytes(self.data[header[_OFFSET] : header[_OFFSET] + header[_SIZE]])

    def place(self, address):
        """Where in the file an address is."""
        for load in self.loads:
            if load[_ADDRESS] <= address < load[_ADDRESS] + load[_SIZE]:
                return address - load[_ADDRESS] + load[_OFFSET]
        raise LookupError(address)

    def text(self, start):
        """A string of the dynamic section's."""
        return self.strings[start : start + _LONGEST_TEXT].partition(b"\0")[0].decode("utf-8", "surrogateescape")

    def segment(self):
        """The header of the last segment: the one that was added before, else a new one."""
        last = max(self.loads, key=lambda load: load[_ADDRESS])
        if self.dynamic and last[_OFFSET] == self.dynamic[_OFFSET] and last[_OFFSET] + last[_SIZE] == len(self.data):
            del self.data[last[_OFFSET] :]
            return last
        properties = self.first(_PROPERTY)
        doubled = [header for header in self.headers if properties and header[_TYPE] == _NOTE and header[_OFFSET] == properties[_OFFSET]]
        spare = [*doubled, *filter(None, map(self.first, (_NOTE, _PROPERTY, _RELRO)))]
        if not spare:
            raise Unwritable("none of its program headers can be given up")
        segment = spare[0]
        self.headers = [header for header in self.headers if header is not segment]
        position = max(index for index, header in enumerate(self.headers) if header is last)
        self.headers.insert(position + 1, segment)
        align = max(load[_ALIGN] for load in self.loads)
        self.data += bytes(-len(self.data) % 16)
        end = max(load[_ADDRESS] + load[_MEMORY] for load in self.loads)
        address = -(-end // align) * align + len(self.data) % align
        segment[:] = [_LOAD, _WRITABLE, len(self.data), address, address, 0, 0, align]
        return segment

    def write(self):
        """The bytes of the file as it is wanted now. RPATH, not RUNPATH: what is loaded later inherits it (ld.so(8))."""
        try:
            return self.written()
        except _DAMAGE:
            raise Unwritable("its segments are damaged") from None

    def written(self):
        """The same; a damaged file ends it."""
        segment = self.segment()
        strings = bytearray(self.strings)

        def added(text):
            wanted = text.encode("utf-8", "surrogateescape") + b"\0"
            if wanted not in strings:
                strings.extend(wanted)
            return strings.find(wanted)

        self.extra_address = segment[_ADDRESS]
        content, moved = self.extra + bytes(-len(self.extra) % 16), {}
        behind = [segment[_OFFSET] + len(content), *[segment[_ADDRESS] + len(content)] * 2]
        if self.dynamic:
            tags = [(_NEEDED, added(soname)) for soname in self.needed]
            tags += [(tag, value) for tag, value in self.tags if tag not in (_NEEDED, _RPATH, _RUNPATH)]
            tags += [(_RPATH, added(":".join(self.rpath)))] if self.rpath else []
            size = _TAG.size * (len(tags) + 1)
            place = behind[1] + size
            values = {_STRTAB: place, _STRSZ: len(strings)}
            content += b"".join(_TAG.pack(tag, values.get(tag, value)) for tag, value in [*tags, (_NULL, 0)]) + strings
            moved = {self.dynamic[_ADDRESS]: (behind[1], size), self.strtab: (place, len(strings))}
            self.dynamic[_OFFSET : _MEMORY + 1] = [*behind, size, size]
        if self.interp:
            address, path = segment[_ADDRESS] + len(content), self.interpreter + b"\0"
            moved[self.interp[_ADDRESS]] = (address, len(path))
            self.interp[_OFFSET : _MEMORY + 1] = [segment[_OFFSET] + len(content), *[address] * 2, *[len(path)] * 2]
            content += path
        segment[_SIZE] = segment[_MEMORY] = len(content)
        for index, header in enumerate(self.headers):
            _HEADER.pack_into(self.data, self.table + index * _HEADER.size, *header)
        self.move_sections(moved, segment)
        return bytes(self.data) + content

    def move_sections(self, moved, segment):
        """Linkers and debuggers go by the sections (none is needed at run time): address → (new address, size)."""
        offset, = struct.unpack_from("<Q", self.data, 40)
        size, count = struct.unpack_from("<HH", self.data, 58)
        for index in range(count if offset and size >= 64 and offset + size * count <= len(self.data) else 0):
            where = offset + index * size + 16
            address, = struct.unpack_from("<Q", self.data, where)
            if address and address in moved:
                new, length = moved[address]
                struct.pack_into("<QQQ", self.data, where, new, new - segment[_ADDRESS] + segment[_OFFSET], length)
