"""Makes $out a Python prefix whose program finds the base's libraries by itself, and so does all that it loads.

Input, as environment variables: out, python (the base's prefix), version ("3.11"), rpath, preload (sonames that are
loaded before any other), interpreter (a loader that finds them already, else empty), loader (one of which a copy is made
that does), lib (the folder of the modules below), managed (what Python says to whoever would install into it, PEP 668).
"""

import glob
import os
import re
import shutil
import sys

sys.path.insert(0, os.environ["lib"])

import bytecode  # noqa: E402
import elf  # noqa: E402
import libraries  # noqa: E402
import relink  # noqa: E402

OUT, PREFIX = os.environ["out"], os.environ["python"]
NAME = f"python{os.environ['version']}"
PROGRAM = f"{OUT}/bin/{NAME}"
MARKER = "EXTERNALLY-MANAGED"


def program(interpreter, own):
    """The base's Python, patched: what it needs already comes behind ``preload``; ``own``: so does its own search path."""
    with open(f"{PREFIX}/bin/{NAME}", "rb") as file:
        wanted = relink.File(file.read())
    preload = os.environ["preload"].split()
    wanted.needed = [*preload, *(soname for soname in wanted.needed if soname not in preload)]
    wanted.rpath = list(dict.fromkeys([*(wanted.rpath if own else ()), *os.environ["rpath"].split(":")]))
    wanted.interpreter = interpreter.encode()
    return wanted.write()


def loader():
    """A copy of the loader that looks into this prefix's cache; nixpkgs' looks for one in its own store path, in vain."""
    path, own = os.environ["loader"], f"{OUT}/cache".encode() + b"\0"
    with open(path, "rb") as file:
        content = file.read()
    places = [hit for hit in re.finditer(rb"/nix/store/[!-~]+/etc/ld\.so\.cache\0", content) if len(hit[0]) >= len(own)]
    if len(places) != 1:
        print(f"{path} has no cache that can be led elsewhere: libraries with a search path of their own find no others")
        return path
    # glibc's own libraries lie beside its loader.
    search = [*os.environ["rpath"].split(":"), os.path.dirname(path)]
    libraries.write(f"{OUT}/lib", search, elf.MACHINES[os.uname().machine])
    os.symlink(f"lib/{libraries.CACHE}", f"{OUT}/cache")
    with open(f"{OUT}/loader", "wb") as file:
        file.write(content[: places[0].start()] + own.ljust(len(places[0][0]), b"\0") + content[places[0].end() :])
    os.chmod(f"{OUT}/loader", 0o755)
    return f"{OUT}/loader"


def standard_library():
    """The base's, by links; but ctypes finds what this prefix's loader finds, and Python says whose it is."""
    base, own = f"{PREFIX}/lib/{NAME}", f"{OUT}/lib/{NAME}"
    for folder in ("", "/ctypes", "/ctypes/__pycache__"):
        os.mkdir(own + folder)
        for name in os.listdir(base + folder) if os.path.isdir(base + folder) else ():
            if f"{folder}/{name}" not in ("/ctypes", "/ctypes/__pycache__", "/ctypes/util.py", f"/{MARKER}") and not name.startswith("util.cpython"):
                os.symlink(f"{base}{folder}/{name}", f"{own}{folder}/{name}")
    shutil.copyfile(os.environ["managed"], f"{own}/{MARKER}")
    with open(f"{base}/ctypes/util.py", encoding="utf-8") as file:
        text = (file.read() + libraries.FIND_LIBRARY).encode()
    with open(f"{own}/ctypes/util.py", "wb") as file:
        file.write(text)
    bytecode.write(text, f"{own}/ctypes/util.py", "ctypes/util.py")


def headers():
    """Python's headers, where sysconfig says that they are: for what compiles when it runs (triton, cffi).

    Debian packages them apart, and what depends on the machine apart again.
    """
    beside = [os.path.normpath(f"{folder}/../../include") for folder in os.environ["rpath"].split(":")]
    found = next((folder for folder in (f"{PREFIX}/include", *beside) if os.path.isdir(f"{folder}/{NAME}")), None)
    if found is None:
        return
    os.makedirs(f"{OUT}/include/{NAME}")
    for name in os.listdir(f"{found}/{NAME}"):
        apart = glob.glob(f"{glob.escape(found)}/*-linux-gnu/{NAME}/{name}")
        os.symlink(apart[0] if apart else f"{found}/{NAME}/{name}", f"{OUT}/include/{NAME}/{name}")


def main():
    for folder in ("bin", "lib"):
        os.makedirs(f"{OUT}/{folder}")
    if interpreter := os.environ["interpreter"]:
        # The base's own standard library knows already where to look.
        os.symlink(f"{PREFIX}/lib/{NAME}", f"{OUT}/lib/{NAME}")
        beside = os.path.dirname(os.path.dirname(interpreter))
        os.symlink(f"{beside}/{libraries.LIST}", f"{OUT}/lib/{libraries.LIST}")
    else:
        interpreter = loader()
        standard_library()
    with open(PROGRAM, "wb") as file:
        file.write(program(interpreter, own=not os.environ["interpreter"]))
    os.chmod(PROGRAM, 0o755)
    headers()


main()
