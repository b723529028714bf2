"""Which libraries the shared objects of an environment ask for that are neither in it nor in the base.

An import check cannot tell: it imports one module of a package, and others may ask for more. So every object's DT_NEEDED
is looked at. What a module that Python imports needs, itself or through other objects, has to be there; what only a
plugin needs may be missing on purpose (Qt's drivers for databases).
"""

import filecmp
import importlib.machinery
import mmap
import os
import re

import elf

# Come with the machine's graphics driver, which no package can replace.
_DRIVER = re.compile(r"lib(cuda|nvidia-[a-z0-9-]+|nvcuvid|nvoptix)\.so\.1")
# An initial function of a file larger than this is not looked for.
_LARGEST_MODULE = 1 << 28


class Object:
    """One shared object or program: its place in the environment, whose it is, and what it asks the loader for."""

    def __init__(self, prefix, place, wheel):
        self.place, self.wheel, self.facts, self.module = place, wheel, None, None
        self.path = f"{prefix}/{place}"
        with open(self.path, "rb") as file:
            if os.fstat(file.fileno()).st_size < 64:
                return
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                self.facts = elf.read(data)
                if self.facts is not None:
                    self.module = self._module(data)

    def _module(self, data):
        """The name by which Python imports it, None for what is no module."""
        suffix = next((end for end in importlib.machinery.EXTENSION_SUFFIXES if self.place.endswith(end)), None)
        parts = self.place.partition("/site-packages/")[2].removesuffix(suffix or "").split("/")
        if suffix is None or not all(part.isidentifier() for part in parts) or len(data) > _LARGEST_MODULE:
            return None
        name = parts[-1].encode()
        return ".".join(parts) if data.find(b"\0PyInit_" + name + b"\0") >= 0 else None

    def search(self):
        """The folders that it names itself."""
        origin = os.path.dirname(self.path)
        return [re.sub(r"\$(ORIGIN\b|\{ORIGIN\})", lambda _: origin, folder) for folder in self.facts.search]


def objects(prefix, wheels):
    """Those of the wheels, given as (name, store path) pairs, that this machine's loader reads."""
    found = []
    for name, path in wheels:
        with open(f"{path}/nixgen-facts", encoding="utf-8") as file:
            places = [line.rstrip("\n").partition("\t")[2] for line in file if line.startswith("native\t")]
        found += [Object(prefix, place, name) for place in places if os.path.isfile(f"{prefix}/{place}")]
    machine = elf.MACHINES.get(os.uname().machine)
    return [one for one in found if one.facts and one.facts.machine == machine and b"ld-musl" not in (one.facts.interpreter or b"")]


def missing(found, base, skip):
    """What is not there: (soname, object, module) for what modules need; and what plugins lack, which may be on purpose:
    the plugins by the sonames, [(sonames, objects)].

    ``base`` are the names that the base has; ``skip`` modules that need not work, with what is below them.
    """
    lacking, below = _linked(found, base)
    needed = {}
    for module in (one for one in found if one.module and not _within(one.module, skip)):
        for one in _reached(module, below):
            needed.setdefault(one, module.module)
    used = {other for others in below.values() for other in others}
    plugins = {}
    for one in found:
        if one not in needed and one not in used:
            sonames = sorted({soname for other in _reached(one, below) for soname in lacking.get(other, ())})
            plugins.setdefault(tuple(sonames), []).append(one)
    plugins.pop((), None)
    return [(soname, one, needed[one]) for one in found if one in needed for soname in lacking.get(one, ())], sorted(plugins.items(), key=lambda item: item[0])


def _reached(start, below):
    """An object and all that it loads."""
    waiting, found = [start], {start: None}
    while waiting:
        new = [other for other in below.get(waiting.pop(), ()) if other not in found]
        found.update(dict.fromkeys(new))
        waiting += new
    return found


def _linked(found, base):
    """Of each object the sonames that are nowhere, and the objects that it loads."""
    by_name = {}
    for one in found:
        for name in {os.path.basename(one.place), one.facts.soname} - {""}:
            by_name.setdefault(name, []).append(one)
    lacking, below = {}, {}
    for one in found:
        own = one.search()
        for soname in dict.fromkeys(one.facts.needed):
            beside = [other for other in by_name.get(soname, ()) if os.path.dirname(other.path) in map(os.path.normpath, own)]
            if others := beside or by_name.get(soname, []):
                # Where it is in another folder, whoever imports it has loaded that before: what is in no folder is missing.
                below.setdefault(one, []).extend(others[:1])
            elif soname not in base and not _DRIVER.fullmatch(soname) and not any(os.path.exists(f"{folder}/{soname}") for folder in own):
                lacking.setdefault(one, []).append(soname)
    return lacking, below


def twice(found, base):
    """Libraries that something asks for and that two bring with different bytes: (soname, "X of A", "Y of B").

    The loader gives a process the one that was loaded first, whoever asks. ``base`` are the files of the base by name.
    """
    asked = {soname for one in found for soname in one.facts.needed}
    by_name = {}
    for one in found:
        soname = one.facts.soname or os.path.basename(one.place)
        if soname in asked and not one.module:
            by_name.setdefault(soname, {}).setdefault(one.wheel, one)
    pairs = []
    for soname, owners in sorted(by_name.items()):
        places = [(one.path, f"{one.place} of {wheel}") for wheel, one in sorted(owners.items())]
        places += [(base[soname], f"{soname} of the base")] if soname in base else []
        (path, name), *others = places
        other = next((named for file, named in others if not filecmp.cmp(path, file, shallow=False)), None)
        if other:
            pairs.append((soname, name, other))
    return pairs


def _within(module, skip):
    """Whether a module, or one above it, is skipped."""
    parts = module.split(".")
    return any(".".join(parts[:end]) in skip for end in range(1, len(parts) + 1))


# What nixpkgs names otherwise than the library, of those that wheels ask for. It builds libcrypt without the old hashes
# and functions, and so as libcrypt.so.2.
NIXPKGS = {
    "libasound.so.2": "alsa-lib",
    "libcrypt.so.1": "libxcrypt-legacy",
    "libcrypt.so.2": "libxcrypt",
    "libcups.so.2": "cups",
    "libdbus-1.so.3": "dbus",
    "libdrm.so.2": "libdrm",
    "libEGL.so.1": "libGL",
    "libfontconfig.so.1": "fontconfig",
    "libfreetype.so.6": "freetype",
    "libgomp.so.1": "stdenv.cc.cc",
    "libnss3.so": "nss",
    "libodbc.so.2": "unixODBC",
    "libportaudio.so.2": "portaudio",
    "libpq.so.5": "libpq",
    "libsndfile.so.1": "libsndfile",
    "libusb-1.0.so.0": "libusb1",
    "libxkbcommon.so.0": "libxkbcommon",
}


def debian_package(soname):
    """The Debian package that a library mostly is in, by Debian's rule for their names (Policy, 8.1); else None."""
    match = re.fullmatch(r"([\w.+-]+)\.so\.(\d[\w.]*)", soname) or re.fullmatch(r"([\w.+-]+?)-?([\d.]*)\.so", soname)
    if match is None:
        return None
    name, version = match[1].lower().replace("_", "-"), re.sub(r"(\.0)+$", "", match[2])
    return f"{name}-{version}" if version and name[-1].isdigit() else f"{name}{version}"
