"""Leads the paths that Debian compiled into its programs and libraries into this tree, so that none uses the host's files.

/usr/lib/git-core, /usr/share/misc/magic: what such a path names is missing on one machine and of another version on the
next. The text with the tree's path is longer, so it goes into a segment of its own (relink.py), and whatever takes the
old text's address takes the new one's: instructions (on x86_64 ``lea``, on aarch64 ``adrp`` with ``add``; Intel's
manual, volume 2; Arm's A64 instruction set) and relocations. In the old text, which nothing should read any more, the
path becomes one that no machine has (/NIX/lib/git-core): what still uses it fails everywhere alike, is said in the log,
and gets a variable instead where one is known.
"""

import fnmatch
import glob
import os
import re
import struct

import relink

# Not /lib: programs that find out themselves where they are put such a text behind their own prefix.
PATH = re.compile(rb"(?<![A-Za-z0-9_.@+~/-])/(?:usr|etc|lib/[a-z0-9_]+-linux-gnu)/[A-Za-z0-9_.+@/-]+")
# In Go's programs one text stands behind the other: what is before a path may be the end of another text.
_GO, _ZONES, _GO_PATH = b"\xff Go build", b"/usr/share/zoneinfo", re.compile(rb"/usr/(?:share|lib|libexec|local/(?:lib|share))/[A-Za-z0-9_.+@/-]+")
_TEXT, _BEHIND = bytes([9, *range(0x20, 0x7F), *range(0x80, 0x100)]), re.compile(rb"[\t\x20-\x7e\x80-\xff]*(?=\0)")
_LONGEST = 4096
# A path that the compiler cut into pieces of 8 bytes, each a number in an instruction (x86_64: ``movabs``): its first.
_MOVABS = rb"(?<=[\x48\x49][\xb8-\xbf])"
PIECE, _PIECES = re.compile(_MOVABS + rb"/(usr)(?=/sha)"), re.compile(_MOVABS + rb"/(?:usr/sha|etc/[a-z]{3})")
# git puts its prefix before these, unless they are whole.
_RELATIVE = re.compile(rb"(?<=\0)share/(?:git-core/templates|locale)(?=\0)")
# What is the machine's: its settings and secrets, its terminals, its programs that no package here brings.
_MACHINES = re.compile(
    r"/(?:usr/)?(?:s?bin|lib\w*|share|include|games|src)?|/usr/local(?:/\w+)?"
    r"|/(?:usr/)?lib\w*/(?:[a-z0-9_]+-linux-gnu\w*|gcc(?:/.*)?|ld[^/]*|ssl(?:/.*)?|os-release|sendmail|locale(?:/.*)?|debug(?:/.*)?)"
    r"|/(?:usr/)?lib\w*/[a-z0-9_]+-linux-gnu\w*/(?:ld[^/]*|gconv(?:/.*)?)"
    r"|/usr/share/(?:man|info|doc|ca-certificates|cargo)(?:/.*)?|/(?:usr/share|lib|usr/lib|etc)/terminfo(?:/.*)?"
    r"|/usr/bin/(?:(?:ba|da)?sh|env)|/usr/.*\.(?:c|cc|cpp|go|h|hpp|rs)"
    r"|/etc(?:/(?:ssl|ssh|X11|skel|pam\.d|security|profile|bash\.bashrc|inputrc|gss|krb5\.conf|alternatives)(?:[./].*)?)?"
)
# A folder of the machine's own or a package's: all below these is a package's, whether or not it is in the tree.
_PACKAGES = ("/usr/lib/", "/usr/share/", "/usr/libexec/", "/usr/local/lib/", "/usr/local/share/")
# How to tell a program what its text cannot: Debian's places, in the order of the variable's list.
VARIABLES = {
    "FONTCONFIG_PATH": ("/etc/fonts",),
    "GDAL_DATA": ("/usr/share/gdal",),
    "GIO_MODULE_DIR": ("/usr/lib/*-linux-gnu/gio/mo*",),
    "GVBINDIR": ("/usr/lib/*-linux-gnu/graphviz",),
    "GIT_EXEC_PATH": ("/usr/lib/git-core",),
    "MAGIC": ("/usr/share/misc/magic", "/usr/share/misc/magic.mgc"),
    "PERL5LIB": (
        "/etc/perl",
        "/usr/lib/*-linux-gnu/perl5/5.*",
        "/usr/share/perl5",
        "/usr/lib/*-linux-gnu/perl-base",
        "/usr/lib/*-linux-gnu/perl/5.*",
        "/usr/share/perl/5.*",
    ),
    "PROJ_DATA": ("/usr/share/proj",),
    "PROJ_LIB": ("/usr/share/proj",),
    "RUBYLIB": (
        "/usr/lib/ruby/vendor_ruby/[0-9]*",
        "/usr/lib/*-linux-gnu/ruby/vendor_ruby/[0-9]*",
        "/usr/lib/ruby/vendor_ruby",
        "/usr/lib/ruby/[0-9]*",
        "/usr/lib/*-linux-gnu/ruby/[0-9]*",
    ),
    "TCL_LIBRARY": ("/usr/share/tcltk/tcl8.*",),
    "TESSDATA_PREFIX": ("/usr/share/tesseract-ocr/*/tessd*",),
    "TK_LIBRARY": ("/usr/share/tcltk/tk8.*",),
    "ZONEINFO": ("/usr/share/zoneinfo",),
}
# Of programs in other languages: a Python process has no use for them, and the machine's programs would take them, too.
OTHERS = {"PERL5LIB", "RUBYLIB", "ZONEINFO"}

_EXECUTABLE, _WRITABLE = 1, 2
_X86_64 = 62
_LEA, _DISTANCE = re.compile(rb"[\x48\x4c]\x8d[\x05\x0d\x15\x1d\x25\x2d\x35\x3d]"), struct.Struct("<i")
_ADRPS = re.compile(rb"[\x90\xb0\xd0\xf0]")  # the last byte of each
_ADR, _ADRP, _ADR_MASK, _ADD, _ADD_MASK, _MOVE, _MOVE_MASK = 0x10000000, 0x90000000, 0x9F000000, 0x91000000, 0xFFC00000, 0x52800000, 0x7FE00000
_LOADS_NUMBER = bytes([*range(0xB8, 0xC0), 0x68])  # mov and push of a number of 32 bits
_RELA, _RELASZ, _RELR = 7, 8, 36
_MOVED = {62: 8, 183: 1027}
_NEAR = 16
# How far from an instruction that takes a text's address one looks for the text's length.
_WINDOW = 28


def _places(data, text):
    """Every place of a text: a pattern that looks behind itself is tried at each byte, which takes ten times as long."""
    place = data.find(text)
    while place >= 0:
        yield place
        place = data.find(text, place + 1)


def _hits(pattern, data, *starts):
    """The hits of a pattern that begins with one of these texts."""
    return [hit for place in sorted(place for text in starts for place in _places(data, text)) if (hit := pattern.match(data, place))]


def paths(data):
    """The hits of PATH. None begins within another: what is before a path is no part of one."""
    return _hits(PATH, data, b"/usr/", b"/etc/", b"/lib/")


class Trees:
    """The trees in which a package's path may be: this one first."""

    def __init__(self, out, *others):
        self.out, self.trees = out, dict.fromkeys((out, *others))

    def leads(self, path):
        """Where a path of the host leads to, None where it is the machine's own."""
        bare = path.rstrip("/.")
        if _MACHINES.fullmatch(bare) or _MACHINES.fullmatch(os.path.normpath(bare)):
            return None
        tree = next((tree for tree in self.trees if os.path.lexists(tree + bare)), None)
        if tree is None:
            return self.out + path if path.startswith(_PACKAGES) else None
        return tree + path

    def cut(self, data):
        """Where paths begin that are cut into pieces and a package's: the hit of _PIECES, and what it stands for."""
        for hit in _hits(_PIECES, data, b"/usr/sha", b"/etc/"):
            start = os.fsdecode(hit[0])
            if start == "/usr/sha":
                yield hit, f"{start}…, in pieces,"
            else:
                # The instructions behind it hold the rest: /etc/fon and ts are not the beginning of another name.
                behind = data[hit.end() : hit.end() + 24]
                found = {path.removeprefix(tree) for tree in self.trees for path in glob.glob(f"{glob.escape(tree)}{start}?*")}
                found = {path for path in found if os.fsencode(path)[len(start) :][:2] in behind}
                yield from [(hit, path) for path in sorted(found) if self.leads(path)][:1]

    def replaced(self, text, *, there=False):
        """A text with all its paths led into the trees; ``there``: only those of files that are there."""

        def lead(hit):
            place = self.leads(os.fsdecode(hit[0]))
            return hit[0] if place is None or (there and not os.path.lexists(place.rstrip("/."))) else os.fsencode(place)

        return PATH.sub(lead, text)

    def value(self, name):
        """What a variable is set to, empty where no tree has such a path with something in it."""
        found = [path for pattern in VARIABLES[name] for tree in self.trees for path in sorted(glob.glob(tree + pattern))]
        return ":".join(path for path in found if not os.path.isdir(path) or os.listdir(path))


def lead(file, trees):
    """A relink.File's bytes with its paths led into the trees (None where it has none), and the paths that cannot be."""
    data = bytes(file.data)
    texts = dict(searched(file, trees))
    relative = {hit.start(): hit[0] for hit in _hits(_RELATIVE, data, b"share/")}
    hits = [hit for hit in all_paths(data) if trees.leads(os.fsdecode(hit[0]))]
    pieces = {hit: path for hit, path in trees.cut(data) if _address(file, hit.start()) is not None}
    if not hits and not relative and not pieces:
        return None, sorted(zones(data))
    new = {(start, 0): os.fsencode(f"{trees.out}/usr/") + text for start, text in relative.items()}
    for start, text in texts.items():
        new |= {(start, at): trees.replaced(text[at:]) for at in {0, *(hit.start() for hit in PATH.finditer(text))}}
    extra, starts = bytearray(), {}
    for (start, at), text in new.items():
        address = _address(file, start + at)
        if address is not None:
            starts[address] = (len(extra), len(texts.get(start) or relative[start]) - at, start)
            extra += text + b"\0"
    file.extra = bytes(extra)
    content = bytearray(file.write())
    references = _References(content, file, {address: (file.extra_address + offset, length) for address, (offset, length, _) in starts.items()})
    taken, held = ({starts[address][2] for address in found} for found in (references.found, references.held))
    names, led = _names(file), {place for start in taken - held for place in range(start, start + len(texts.get(start, b"")))}
    left = set(pieces.values())
    for hit in (*hits, *pieces):
        place, first = hit.start() + 1, hit[0].split(b"/")[1]
        content[place : place + len(first)] = b"NIX".ljust(len(first), b"X")
    left |= {os.fsdecode(hit[0]) for hit in hits if hit.start() not in names and hit.start() not in led} | zones(data)
    return bytes(content), sorted(left)


def all_paths(data):
    """Where paths are, whatever stands around them."""
    go = _GO in data
    for hits in (paths(data), _GO_PATH.finditer(data) if go else ()):
        # For TZ, Go's programs look nowhere else, and without the machine's time zones they would take UTC. For those that
        # a program asks for by name, ZONEINFO comes first.
        yield from (hit for hit in hits if not (go and hit[0].startswith(_ZONES)))


def zones(data):
    """The path of the time zones that a program of Go's has, which is left there."""
    return {os.fsdecode(_ZONES)} if _GO in data and _ZONES in data else set()


def unled(content, trees):
    """The bytes of a program without a dynamic section, to which nothing can be added, without paths to be led elsewhere."""
    hits = [hit for hit in all_paths(content) if trees.leads(os.fsdecode(hit[0]))]
    pieces, new = dict(trees.cut(content)), bytearray(content)
    for hit in (*hits, *pieces):
        first = hit[0].split(b"/")[1]
        new[hit.start() + 1 : hit.start() + 1 + len(first)] = b"NIX".ljust(len(first), b"X")
    return bytes(new), sorted({os.fsdecode(hit[0]) for hit in hits} | zones(content))


def _names(file):
    """Where the names of the dynamic section are: relink.py copied them, and nothing reads these any more."""
    start = 0 if file.strtab is None else file.place(file.strtab)
    return range(start, start + len(file.strings))


def searched(file, trees):
    """The texts that have a path to be led elsewhere: (place, text). Not those of the dynamic section."""
    data, names = bytes(file.data), _names(file)
    for hit in paths(data):
        behind = _BEHIND.match(data, hit.end(), hit.end() + _LONGEST)
        if behind and hit.start() not in names and trees.leads(os.fsdecode(hit[0])):
            before = data[max(0, hit.start() - _LONGEST) : hit.start()]
            start = hit.start() - len(before) + len(before.rstrip(_TEXT))
            yield start, data[start : behind.end()]


def _address(file, place):
    """The address of what stands at a place in the file, None where it is not loaded."""
    return next((address + place - start for _, _, start, address, _, size, _, _ in file.loads if start <= place < start + size), None)


class _References:
    """What takes the address of a text: in ``found`` those that now take the new one's, in ``held`` what cannot.

    An instruction beside which the text's length stands would copy so many bytes, and not more: it is left alone.
    """

    def __init__(self, content, file, wanted):
        self.content, self.wanted, self.found, self.held = content, wanted, set(), set()
        machine, = struct.unpack_from("<H", content, 18)
        kind, = struct.unpack_from("<H", content, 16)
        code = self.x86_64 if machine == _X86_64 else self.aarch64
        for _, flags, start, address, _, size, _, _ in file.loads:
            if flags & _EXECUTABLE:
                code(start, address, size)
                if kind == 2:
                    self.absolute(start, size)
            elif flags & _WRITABLE and address != file.extra_address and (kind == 2 or any(tag == _RELR for tag, _ in file.tags)):
                self.words(start, size)
        values = dict(file.tags)
        if _RELA in values:
            self.relocations(file.place(values[_RELA]), values[_RELASZ], _MOVED[machine])

    def x86_64(self, start, address, size):
        code = bytes(self.content[start : start + size])
        for hit in _LEA.finditer(code, 0, size - 4):
            at = hit.start()
            target = address + at + 7 + _DISTANCE.unpack_from(code, at + 3)[0]
            if target not in self.wanted:
                continue
            new, length = self.wanted[target]
            around = code[max(0, at - _WINDOW) : at] + b"\0" * 7 + code[at + 7 : at + 7 + _WINDOW]
            sizes = b"|".join(re.escape(struct.pack("<I", number)) for number in (length, length + 1))
            ends = re.escape(bytes([length])) if length < 128 else b"(?!)"
            if re.search(rb"(?s:[\xb8-\xbf\xc7](?:.{0,2})(?:" + sizes + rb"))|\x8d[\x40-\x7f]" + ends, around):
                self.held.add(target)
            else:
                struct.pack_into("<i", self.content, start + at + 3, new - (address + at + 7))
                self.found.add(target)

    def aarch64(self, start, address, size):
        code = bytes(self.content[start : start + size // 4 * 4])
        words = memoryview(code).cast("I")
        pages = {target >> 12 for target in self.wanted}
        for hit in _ADRPS.finditer(code[3::4]):
            index = hit.start()
            word, here = words[index], address + 4 * index
            page = (here >> 12) + _number(word)
            register = word & 31
            for behind in range(index + 1, min(index + _NEAR, len(words))) if page in pages else ():
                other = words[behind]
                target = (page << 12) + (other >> 10 & 0xFFF)
                if other & _ADD_MASK == _ADD and other >> 5 & 31 == register and target in self.wanted:
                    new, length = self.wanted[target]
                    around = words[max(0, index - 6) : behind + 7]
                    sized = any(word & _MOVE_MASK == _MOVE and (word >> 5 & 0xFFFF) in (length, length + 1) for word in around)
                    if sized or other & 31 != register:
                        self.held.add(target)
                    else:
                        struct.pack_into("<I", self.content, start + 4 * index, _ADRP | _bits((new >> 12) - (here >> 12)) | register)
                        struct.pack_into("<I", self.content, start + 4 * behind, other & ~(0xFFF << 10) | (new & 0xFFF) << 10)
                        self.found.add(target)
                if other & 31 == register and (other & _ADR_MASK in (_ADR, _ADRP) or other & _ADD_MASK == _ADD):
                    break

    def absolute(self, start, size):
        """In a program with a fixed address, an instruction may hold it as a number of 32 bits."""
        code = bytes(self.content[start : start + size])
        for target, (new, _) in self.wanted.items():
            for place in _places(code, struct.pack("<I", target)):
                if place and code[place - 1] in _LOADS_NUMBER:
                    struct.pack_into("<I", self.content, start + place, new)
                    self.found.add(target)

    def words(self, start, size):
        """Data that holds addresses, without a relocation for each."""
        data = bytes(self.content[start : start + size])
        for target, (new, _) in self.wanted.items():
            for place in _places(data, struct.pack("<Q", target)):
                if place % 8 == 0:
                    struct.pack_into("<Q", self.content, start + place, new)
                    self.found.add(target)

    def relocations(self, start, size, relative):
        for index, (_, kind, addend) in enumerate(struct.iter_unpack("<QQq", self.content[start : start + size // 24 * 24])):
            if kind == relative and addend in self.wanted:
                struct.pack_into("<q", self.content, start + 24 * index + 16, self.wanted[addend][0])
                self.found.add(addend)


def _number(word):
    """The number in an ``adr`` or ``adrp``: 21 bits with a sign."""
    number = (word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3
    return number - (number >> 20 << 21)


def _bits(number):
    """The same number as bits of the instruction."""
    return (number & 3) << 29 | (number >> 2 & 0x7FFFF) << 5


def variables(left):
    """The variables that lead the paths that are left."""
    return {name for name, patterns in VARIABLES.items() for path in left if any(fnmatch.fnmatch(path.rstrip("/."), pattern) for pattern in patterns)}
