"""Turns the unpacked .deb files in $out into a tree that runs from the store and sees nothing of the host.

Input, as environment variables: out; python ("3.11"); core (the base's tree when this is an addition to it, else
empty); lib (the folder of bytecode.py, elf.py, relink.py, workers.py); preload (sonames, only for the base itself); managed (what
Python says to whoever would install into it).
"""

import os
import re
import stat
import sys

sys.path.insert(0, os.environ["lib"])

import bytecode  # noqa: E402
import elf  # noqa: E402
import relink  # noqa: E402
import workers  # noqa: E402

OUT = os.environ["out"]
CORE = os.environ.get("core") or OUT
PYTHON = f"python{os.environ['python']}"
# What Debian's loader would look at on the host: its cache, its list of preloaded libraries, the default folders.
HOST_PATHS = re.compile(rb"(?<![!-~])/(etc/ld\.so\.(?:cache|preload)|(?:usr/)?lib(?:64)?/(?:[a-z0-9_]+-linux-gnu/)?)\0")
# What Debian's C library would load from the host when text is converted: its iconv modules are libraries, too.
CONVERTERS = re.compile(rb"(?<![!-~])/(usr/lib/[a-z0-9_]+-linux-gnu/gconv(?:/gconv-modules\.cache)?)\0")


def regular_files():
    """Every regular file of the tree, sorted, each once: the links of the merged layout are not followed."""
    for folder, folders, files in os.walk(OUT):
        folders.sort()
        for file in sorted(files):
            path = os.path.join(folder, file)
            if stat.S_ISREG(os.lstat(path).st_mode):
                yield path


def mend_links():
    """Links to absolute paths point into this tree, or into the base's; one that leads nowhere is dropped."""
    for folder, folders, files in os.walk(OUT):
        for name in folders + files:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                continue
            target = os.readlink(path)
            if target.startswith(("/nix/", OUT)):
                continue
            if target.startswith("/"):
                os.unlink(path)
                for tree in (OUT, CORE):
                    if os.path.lexists(tree + target):
                        os.symlink(tree + target, path)
                        break
            elif not os.path.lexists(os.path.join(folder, target)):
                wanted = os.path.normpath(os.path.join(folder, target)).replace(OUT, CORE, 1)
                if os.path.lexists(wanted):
                    os.unlink(path)
                    os.symlink(wanted, path)


def library_folders(tree):
    """The folders that the loader must search in a tree, the multiarch one first."""
    usr = f"{tree}/usr/lib"
    named = sorted(name for name in os.listdir(usr) if name.endswith(("-linux-gnu", "-linux-gnueabihf")))
    return [f"{usr}/{name}" for name in named] + [usr]


def loader():
    """The dynamic loader of the base."""
    folder = library_folders(CORE)[0]
    return next(f"{folder}/{name}" for name in sorted(os.listdir(folder)) if name.startswith("ld-linux"))


def blind(path, places, least):
    """Takes the host's places out of the loader or libc, so that a missing library is missing everywhere alike."""
    with open(path, "rb") as file:
        content = file.read()
    content, count = places.subn(lambda hit: b"/" + b"\x01" * len(hit[1]) + b"\0", content)
    if count < least:
        raise SystemExit(f"{path}: expected {least} of the host's places or more, found {count}")
    replace(path, content)


def replace(path, content):
    """Writes a file anew: the old one may be the program or library that is running."""
    with open(path + ".new", "wb") as file:
        file.write(content)
    os.chmod(path + ".new", os.stat(path).st_mode | 0o111)
    os.rename(path + ".new", path)


def within_trees(folders):
    """The folders of a search path that a package brought itself, in the trees; one that is in neither is dropped."""
    for folder in folders:
        if folder.startswith("$ORIGIN"):
            yield folder
        else:
            yield from [tree + os.path.normpath(folder) for tree in dict.fromkeys((OUT, CORE)) if folder[:1] == "/" and os.path.isdir(tree + folder)]


def programs_and_libraries(paths):
    """Gives every program its loader and search path, and every library with a search path of its own one that holds."""
    search = library_folders(OUT) + (library_folders(CORE) if CORE != OUT else [])
    interpreter = loader()
    for path in paths:
        with open(path, "rb") as file:
            if file.read(6)[:4] != b"\x7fELF":
                continue
            file.seek(0)
            content = file.read()
        facts = elf.read(content)
        if facts is None or path == interpreter or not (facts.program or facts.has_runpath):
            continue
        try:
            wanted = relink.File(content)
            wanted.interpreter = os.fsencode(interpreter)
            own = [] if facts.program else [os.path.dirname(path)]
            wanted.rpath = list(dict.fromkeys([*own, *within_trees(wanted.rpath), *search]))
            if os.path.basename(path) == PYTHON:
                wanted.needed = [*os.environ["preload"].split(), *wanted.needed]
            replace(path, wanted.write())
        except relink.Unwritable as problem:
            raise SystemExit(f"{path.removeprefix(OUT)} cannot be made to run from the store: {problem}") from None


def shebangs(paths):
    """A script whose interpreter is in the tree starts with that one."""
    for path in paths:
        with open(path, "rb") as file:
            head = file.read(2)
            if head != b"#!" or not os.access(path, os.X_OK):
                continue
            first, rest = (head + file.readline()).rstrip(b"\n"), file.read()
        words = first[2:].strip().split(None, 1)
        if not words:
            continue
        for tree in (OUT, CORE):
            if os.path.exists(tree + os.fsdecode(words[0])):
                words[0] = os.fsencode(tree) + words[0]
                replace(path, b"#!" + b" ".join(words) + b"\n" + rest)
                break


def time_zones(paths):
    """zoneinfo looks for time zones where sysconfig's TZPATH says: in this tree instead of on the host (PEP 615)."""
    for path in paths:
        if os.path.basename(path).startswith("_sysconfigdata_") and path.endswith(".py"):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            text = re.sub(r"(?<='TZPATH': ')[^']*", f"{OUT}/usr/share/zoneinfo", text)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)


def mark_as_managed():
    """Debian's Python says that it is managed (PEP 668), by apt; here it is by Nix."""
    marker = f"{OUT}/usr/lib/{PYTHON}/EXTERNALLY-MANAGED"
    if os.path.lexists(marker):
        os.unlink(marker)
    with open(os.environ["managed"], "rb") as source, open(marker, "wb") as file:
        file.write(source.read())


def compile_library(share):
    """Byte-compiles a share of the standard library."""
    for path in share:
        with open(path, "rb") as file:
            bytecode.write(file.read(), path, path.partition(f"/usr/lib/{PYTHON}/")[2])
    return []


def main():
    mend_links()
    paths = list(regular_files())
    if CORE == OUT:
        blind(loader(), HOST_PATHS, 4)
        blind(f"{library_folders(OUT)[0]}/libc.so.6", CONVERTERS, 2)
        mark_as_managed()
    programs_and_libraries(paths)
    shebangs(paths)
    time_zones(paths)
    # Links, too (sitecustomize.py is one): what has no byte code here, a Python run by root would write into the store.
    library = [os.path.join(folder, name) for folder, _, names in os.walk(f"{OUT}/usr/lib/{PYTHON}") for name in names]
    library = sorted(path for path in library if path.endswith(".py") and os.path.isfile(path))
    workers.spread(library, os.path.getsize, compile_library)


main()
