"""Makes $out a Python prefix whose program finds the base's libraries by itself.

Input, as environment variables: out, python (the base's prefix), version ("3.11"), rpath, preload (sonames that are
loaded before any other), lib (the folder of relink.py), managed (what Python says to whoever would install into it, PEP
668).
"""

import os
import shutil
import sys

sys.path.insert(0, os.environ["lib"])

import relink  # noqa: E402

OUT, PREFIX = os.environ["out"], os.environ["python"]
NAME = f"python{os.environ['version']}"
PROGRAM = f"{OUT}/bin/{NAME}"
MARKER = "EXTERNALLY-MANAGED"


def program():
    """The base's Python, patched: what it needs already comes behind ``preload``, its own search path first."""
    with open(f"{PREFIX}/bin/{NAME}", "rb") as file:
        wanted = relink.File(file.read())
    preload = os.environ["preload"].split()
    wanted.needed = [*preload, *(soname for soname in wanted.needed if soname not in preload)]
    wanted.rpath = list(dict.fromkeys([*wanted.rpath, *os.environ["rpath"].split(":")]))
    return wanted.write()


def main():
    for folder in ("bin", "lib"):
        os.makedirs(f"{OUT}/{folder}")
    with open(PROGRAM, "wb") as file:
        file.write(program())
    os.chmod(PROGRAM, 0o755)
    library = f"{PREFIX}/lib/{NAME}"
    if os.path.lexists(f"{library}/{MARKER}"):
        os.symlink(library, f"{OUT}/lib/{NAME}")
    else:
        os.mkdir(f"{OUT}/lib/{NAME}")
        for name in os.listdir(library):
            os.symlink(f"{library}/{name}", f"{OUT}/lib/{NAME}/{name}")
        shutil.copyfile(os.environ["managed"], f"{OUT}/lib/{NAME}/{MARKER}")
    if os.path.isdir(f"{PREFIX}/include"):
        os.symlink(f"{PREFIX}/include", f"{OUT}/include")


main()
