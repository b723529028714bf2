"""Leads an environment to the GPU driver's own libraries on this machine, and to nothing else of it.

A driver's libraries are the kernel module's other half: no package can bring them. They are found, looked at, and
linked into a folder that only this user can write; LD_LIBRARY_PATH names that folder. The environment's loader knows
none of the machine's folders, so whatever these libraries need comes from the environment. For the machine's own
programs nothing changes: behind the links are the files that they load anyway.

It is of the standard library alone, since the environment's own Python runs it: a copy of this file lies beside shells
and services. Usage: driver.py auto|off ENVIRONMENT, which prints LD_LIBRARY_PATH and TRITON_LIBCUDA_PATH, a line each;
with `sh`, `fish` or `csh` behind it, what such a shell evaluates to set them.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
import shutil
import stat
import struct
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

OVERRIDE = "NIXGEN_DRIVER"
"""The variable that names the driver's folder, where it is in none of the usual ones, or is ``off``."""
FIRST = ("/run/opengl-driver/lib", "/usr/lib/wsl/lib", "/.singularity.d/libs")
"""NixOS, WSL, and Apptainer's ``--nv``: before what the loader's cache has."""
USUAL = (
    f"/usr/lib/{os.uname().machine}-linux-gnu",
    *("/usr/lib64", "/usr/lib", "/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", "/usr/lib64-nvidia"),
)
"""Distributions, and where container runtimes put a driver without running ldconfig."""
CACHE = "/etc/ld.so.cache"
"""What ``ldconfig -p`` prints, where it is."""
CUDA, DXCORE = "libcuda.so.1", "libdxcore.so"
SIGNS = (*(f"{folder}/{CUDA}" for folder in (*FIRST, *USUAL)), f"{FIRST[1]}/{DXCORE}")
"""Where one of these is, or the cache names libcuda, there is something to find: a shell starts Python only then."""
_NAMES = (
    # What libcuda loads, and what programs load beside it (libnvidia-container's lists "compute", "utility", "video").
    *("cuda", "cudadebugger", "nvcuvid", "nvoptix", "nvidia-allocator", "nvidia-cfg", "nvidia-compiler"),
    *("nvidia-encode", "nvidia-fatbinaryloader", "nvidia-gpucomp", "nvidia-ml", "nvidia-nscq", "nvidia-nvvm"),
    *("nvidia-nvvm70", "nvidia-opencl", "nvidia-opticalflow", "nvidia-pkcs11", "nvidia-pkcs11-openssl3"),
    *("nvidia-ptxjitcompiler", "nvidia-rtcore", "nvidia-sandboxutils", "nvidia-tileiras"),
    # WSL's way to the driver of Windows, ROCm's too; what its libcuda loads besides (nvidia-container-toolkit's list).
    # Elsewhere ROCm's wheels bring all but the kernel's part.
    *("dxcore", "cuda_loader", "nvdxgdmal", "nvidia-ml_loader"),
)
ALLOWED = re.compile(rf"lib(?:{'|'.join(_NAMES)})\.so(?:\.[0-9]+)*")
"""The names that are linked. CUDA's libraries (libcudart, libcublas) are wheels, of the version that uv.lock has."""
_VERSION = re.compile(r"\.so\.([0-9]{2,}(?:\.[0-9]+)+)$")
_FOLDER = re.compile(r"nixgen-driver-[0-9]+-[0-9a-f]{20}")
_NEW_CACHE = b"glibc-ld.so.cache1.1"
_MACHINES = {"x86_64": 62, "aarch64": 183}
_SHARED, _LOAD, _DYNAMIC = 3, 1, 2
_STRTAB, _SONAME, _RPATH, _RUNPATH, _VERNEED, _VERNEEDNUM = 5, 14, 15, 29, 0x6FFFFFFE, 0x6FFFFFFF
NEWER = 'a newer base (suite or nixpkgs under [tool.nixgen]), then: nixgen sync; to do without the GPU: cuda = "off"'
_WEAK = 2
_MOST = 1 << 12  # of any list in an ELF file; real ones have some dozens


class Library(NamedTuple):
    """A shared library: its soname, the folders where it looks itself, and each (file, version) that it asks for."""

    soname: str
    search: tuple[str, ...]
    wants: tuple[tuple[str, str], ...]


class Driver(NamedTuple):
    """A driver: its version ("" where no file's name tells it), its libcuda, and all its libraries by name."""

    version: str
    path: str
    libraries: Mapping[str, str]


class DriverError(Exception):
    """There is a driver, and it cannot be used; ``hint`` says what helps."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.hint = hint


def read(path: str) -> Library | None:
    """What a file asks for, None where it is no shared library for this machine."""
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _library(data)
    except (OSError, ValueError, struct.error, OverflowError):
        return None  # mmap refuses an empty file with ValueError


def _library(data: mmap.mmap) -> Library | None:
    """System V ABI, chapter 5."""
    kind, machine = struct.unpack_from("<HH", data, 16)
    if data[:6] != b"\x7fELF\x02\x01" or kind != _SHARED or machine != _MACHINES.get(os.uname().machine):
        return None
    offset, size, count = *struct.unpack_from("<Q", data, 32), *struct.unpack_from("<HH", data, 54)
    headers = [struct.unpack_from("<IIQQQQ", data, offset + index * size) for index in range(min(count, _MOST))]
    start, length = next(((one[2], one[5]) for one in headers if one[0] == _DYNAMIC), (0, 0))
    tags = [struct.unpack_from("<qQ", data, start + 16 * index) for index in range(min(length // 16, _MOST))]
    found = dict(reversed(tags[: tags.index((0, 0))] if (0, 0) in tags else tags))

    def place(address: int) -> int:
        for kind, _, start, first, _, length in headers:
            if kind == _LOAD and first <= address < first + length:
                return int(address - first + start)
        raise ValueError(address)

    def text(at: int) -> str:
        start = place(found.get(_STRTAB, 0)) + at
        return data[start : start + 4096].partition(b"\0")[0].decode(errors="replace")

    search = found.get(_RUNPATH, found.get(_RPATH))
    own = "" if search is None else text(search)
    wants = _wants(data, place(found[_VERNEED]), found.get(_VERNEEDNUM, 0)) if _VERNEED in found else ()
    return Library(
        text(found[_SONAME]) if _SONAME in found else "",
        tuple(filter(None, own.split(":"))),
        tuple((text(file), text(version)) for file, version in wants),
    )


def _wants(data: mmap.mmap, at: int, count: int) -> Iterator[tuple[int, int]]:
    """Where the names of (file, version) stand that must be there: LSB, "Symbol Versioning"."""
    for _ in range(min(count, _MOST)):
        _, versions, file, first, following = struct.unpack_from("<HHIII", data, at)
        where = at + first
        for _ in range(versions):
            _, flags, _, version, more = struct.unpack_from("<IHHII", data, where)
            if not flags & _WEAK:
                yield file, version
            where += more
        at += following


def cached(path: str = CACHE) -> dict[str, list[str]]:
    """The paths that the loader's cache has for each allowed name; empty where there is none that can be read.

    Layout: glibc's sysdeps/generic/dl-cache.h, "struct cache_file_new"; offsets count from its own beginning.
    """
    found: dict[str, list[str]] = {}
    try:
        with open(path, "rb") as file:
            data = file.read(1 << 26)
        start = data.index(_NEW_CACHE)
        (count,) = struct.unpack_from("<I", data, start + 20)

        def text(at: int) -> str:
            return data[start + at : data.index(b"\0", start + at)].decode()

        for index in range(count):
            _, key, value = struct.unpack_from("<iII", data, start + 48 + 24 * index)
            if data.startswith(b"lib", start + key) and ALLOWED.fullmatch(name := text(key)):
                found.setdefault(name, []).append(text(value))
    except (OSError, ValueError, struct.error):
        return found
    return found


def find(
    override: str = "", first: Sequence[str] = FIRST, cache: str = CACHE, usual: Sequence[str] = USUAL
) -> Driver | None:
    """The machine's driver, None where there is none, and where ``override`` is "off".

    Raises DriverError for one that is not a whole library.

    All its libraries are of one version, that of the first libcuda: of two drivers never some of each.
    """
    if override == "off":
        return None
    if override:
        first, usual = (override,), ()
    known = {} if override else cached(cache)
    places = [
        *(f"{folder}/{CUDA}" for folder in first),
        *known.get(CUDA, ()),
        *(f"{folder}/{CUDA}" for folder in usual),
    ]
    there = [os.path.abspath(path) for path in places if os.path.lexists(path) and "stubs" not in path.split("/")]
    path = next((path for path in there if read(path)), None)
    if path is None:
        # WSL without NVIDIA's driver: what ROCm needs there.
        if only := next((one for folder in first if read(one := f"{folder}/{DXCORE}")), None):
            return Driver("", only, {DXCORE: only})
        if there or override:
            what = f"{there[0]} is not a library for this machine" if there else f"{OVERRIDE}={override} has no {CUDA}"
            raise DriverError(what, f"install the driver again, or name its folder: {OVERRIDE}=FOLDER")
        return None
    real = os.path.realpath(path)
    told = _VERSION.search(real)
    version = told[1] if told else ""
    beside = [
        f"{folder}/{name}" for folder in dict.fromkeys(map(os.path.dirname, (path, real))) for name in _allowed(folder)
    ]
    elsewhere = [one for paths in known.values() for one in paths] if version else known.get(DXCORE, [])
    # A container in WSL has the driver in another folder.
    elsewhere = [*(f"{folder}/{DXCORE}" for folder in first), *elsewhere]
    found: dict[str, str] = {}
    for one in [path, *beside, *elsewhere]:
        same = not version or os.path.realpath(one).endswith(f".so.{version}")
        if same and os.path.basename(one) not in found and (library := read(one)):
            found[os.path.basename(one)] = one
            if ALLOWED.fullmatch(library.soname):
                found.setdefault(library.soname, one)
    # What a linker is given for -lcuda (triton), and what some load.
    found.setdefault("libcuda.so", path)
    return Driver(version, path, dict(sorted(found.items())))


def _allowed(folder: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if ALLOWED.fullmatch(name))
    except OSError:
        return []


def usable(driver: Driver) -> Driver:
    """Those of its libraries that load beside this process's own. Raises DriverError where libcuda is none of these."""
    libc = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")[2]
    loaded, fine = _loaded(), {}
    for name, path in driver.libraries.items():
        library = read(path)
        if library is None:
            continue
        what = _strange(library) or too_new(library, libc, loaded)
        if not what:
            fine[name] = path
        elif name == CUDA:
            title = f"NVIDIA's driver{driver.version and ' '}{driver.version} ({driver.path})"
            raise DriverError(f"{title} {what}", NEWER)
    return driver._replace(libraries=fine)


def _strange(library: Library) -> str:
    """A search path of the library's own would bring in the machine's other libraries."""
    folders = [one for one in library.search if not one.startswith(("/nix/store/", "$ORIGIN", "${ORIGIN}"))]
    return f"looks for its libraries in {folders[0]}, a folder of this machine" if folders else ""


def too_new(library: Library, libc: str, loaded: Mapping[str, str]) -> str:
    """What a library wants of the environment's own that these do not have; both versions are in the sentence."""
    glibc = [_number(version[6:]) for _, version in library.wants if re.fullmatch(r"GLIBC_[0-9.]+", version)]
    if libc and glibc and max(glibc) > _number(libc):
        return f"needs glibc {'.'.join(map(str, max(glibc)))}, and this environment has glibc {libc}"
    for file, version in library.wants:
        prefix, _, number = version.rpartition("_")
        if prefix in {"GLIBCXX", "CXXABI", "GCC"} and file in loaded and number[:1].isdigit():
            with open(loaded[file], "rb") as opened:
                has = {
                    match.decode() for match in re.findall(rb"\0%s_([0-9.]+)(?=\0)" % prefix.encode(), opened.read())
                }
            if has and number not in has:
                newest = max(has, key=_number)
                return f"needs {file} with {version}, and this environment's ends with {prefix}_{newest}"
    return ""


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _loaded() -> dict[str, str]:
    """The shared libraries of this process by their names: the environment's own, when its Python runs this."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:
            paths = [line.split(maxsplit=5)[5].rstrip("\n") for line in file if line.count("/")]
    except OSError:
        return {}
    found = {}
    for path in dict.fromkeys(path for path in paths if ".so" in os.path.basename(path) and os.path.isfile(path)):
        library = read(path)
        found[library.soname if library and library.soname else os.path.basename(path)] = path
    return found


def link(driver: Driver) -> str:
    """The folder with links to these libraries, made where it is not there.

    Its name tells what is in it, so that all shells share it, and a new driver gets a new one. Nobody but the user may
    have made it. Raises DriverError where no such folder can be made.
    """
    known = [(name, path, os.path.realpath(path), os.stat(path)) for name, path in driver.libraries.items()]
    text = repr(
        [(name, path, real, one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns) for name, path, real, one in known]
    )
    name = f"nixgen-driver-{os.geteuid()}-{hashlib.sha256(os.fsencode(text)).hexdigest()[:20]}"
    for place in _places():
        folder = f"{place}/{name}"
        if _is(folder, driver.libraries):
            return folder
        try:
            made = tempfile.mkdtemp(prefix=".nixgen-driver-", dir=place)
        except OSError:
            continue
        try:
            for library, path in driver.libraries.items():
                os.symlink(path, f"{made}/{library}")
            if _mine(folder):
                os.rename(folder, f"{made}/old")  # something else was put into it
            os.rename(made, folder)
            shutil.rmtree(f"{folder}/old", ignore_errors=True)
        except OSError:
            shutil.rmtree(made, ignore_errors=True)  # another process was faster, or the place is taken
        if _is(folder, driver.libraries):
            return folder
    raise DriverError(
        "the driver's libraries need a folder that only you can write", "set XDG_RUNTIME_DIR, or TMPDIR, to one"
    )


def _places() -> Iterator[str]:
    """Folders of this user's, which exist; last those that all users share, where the name says whose it is."""
    runtime, home = os.environ.get("XDG_RUNTIME_DIR", ""), os.environ.get("HOME", "")
    cache = os.environ.get("XDG_CACHE_HOME", "")
    base = cache if os.path.isabs(cache) else f"{home}/.cache" if os.path.isabs(home) and os.path.isdir(home) else ""
    if os.path.isabs(runtime) and _mine(runtime):
        yield runtime
    if base and (_mine(base) or (not os.path.lexists(base) and _mine(os.path.dirname(base)))):
        try:
            os.makedirs(f"{base}/nixgen", 0o700, exist_ok=True)
        except OSError:
            pass
        else:
            if _mine(f"{base}/nixgen"):
                yield f"{base}/nixgen"
    for place in dict.fromkeys((os.environ.get("TMPDIR", ""), "/tmp")):  # noqa: S108 -- the name says whose folder it is, and it is looked at
        if os.path.isabs(place) and os.path.isdir(place):
            yield place


def _mine(folder: str) -> bool:
    """Whether it is a folder, no link, that this user alone can write to."""
    try:
        found = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _is(folder: str, libraries: Mapping[str, str]) -> bool:
    try:
        return _mine(folder) and {one.name: os.readlink(one.path) for one in os.scandir(folder)} == dict(libraries)
    except OSError:
        return False


def kept(before: Iterable[str], names: frozenset[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """The folders of an LD_LIBRARY_PATH that stay, and those that go, each with a name that speaks against it.

    The loader looks there before it looks beside a library (ld.so(8), RUNPATH): a folder that has a library which the
    environment has, too, would put another version in the place of the locked one, and no error would tell.
    """
    stay: list[str] = []
    go: list[tuple[str, str]] = []
    for folder in dict.fromkeys(before):
        try:
            both = names.intersection(os.listdir(folder))
        except OSError:
            both = frozenset()
        if both:
            go.append((folder, min(both)))
        else:
            stay.append(folder)
    return stay, go


def libraries_of(folders: Iterable[str], base: str = sys.base_prefix) -> frozenset[str]:
    """The file names of the shared libraries below an environment's folders, and the names that its base has.

    In an environment, folders with libraries are real ones, and all others links (environment.py).
    """
    names = {name for folder in folders for _, _, files in os.walk(folder) for name in files if ".so" in name}
    try:
        with open(f"{base}/lib/ld.so.libraries", encoding="utf-8") as file:
            names.update(file.read().split())
    except OSError:
        names.add("libc.so.6")
    return frozenset(names)


def variables(wanted: str, folders: Iterable[str]) -> dict[str, str]:
    """What is set for a process in the environment, so that it finds the driver; says on stderr what is in the way.

    ``wanted`` is the setting ``cuda``; ``folders`` have the environment's libraries. An LD_LIBRARY_PATH that is set
    stays, but for folders that have other versions of what the environment has; it is "" where nothing stays.
    """
    before, override, folder = os.environ.get("LD_LIBRARY_PATH", ""), os.environ.get(OVERRIDE, ""), ""
    # An empty one is the current folder; our own of a shell around this one is none of the machine's.
    theirs = [one for one in before.split(":") if one and not _FOLDER.fullmatch(os.path.basename(one))]
    if wanted != "off" and sys.platform == "linux":
        try:
            if driver := find(override, FIRST, CACHE, (*USUAL, *theirs)):
                folder = link(usable(driver))
        except (DriverError, OSError) as error:
            _tell(str(error), getattr(error, "hint", ""))
    stay, go = kept(theirs, libraries_of(folders)) if theirs else ([], [])
    for other, name in go:
        _tell(f"LD_LIBRARY_PATH is used without {other}: its {name} would replace the environment's")
    # It asks the machine's ldconfig first, and hands the folder that this names to a compiler.
    triton = os.environ.get("TRITON_LIBCUDA_PATH", "")
    triton = folder if not triton or _FOLDER.fullmatch(os.path.basename(triton)) else triton
    return {"LD_LIBRARY_PATH": ":".join([folder, *stay] if folder else stay), "TRITON_LIBCUDA_PATH": triton}


def _tell(what: str, hint: str = "") -> None:
    print(f"nixgen: {what}" + (f"\n  hint: {hint}" if hint else ""), file=sys.stderr)


SETTING: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "sh": ("export {}='{}'", {"'": "'\\''"}),
    "fish": ("set -gx {} '{}'", {"'": "\\'", "\\": "\\\\"}),
    "csh": ("setenv {} '{}';", {"'": "'\\''", "!": "\\!"}),
}
"""How shells set a variable, and what they have in quotes for characters that count there."""


def main(wanted: str, environment: str, form: str = "") -> None:
    """What the shell reads."""
    for name, value in variables(wanted, [environment]).items():
        if not form:
            print(value)
        elif value or name in os.environ:
            setting, quoted = SETTING[form]
            print(setting.format(name, value.translate({ord(one): text for one, text in quoted.items()})))


if __name__ == "__main__":
    main(*sys.argv[1:])
