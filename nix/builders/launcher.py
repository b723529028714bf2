"""Makes $out a Python prefix whose program finds the base's libraries by itself.

Input, as environment variables: out, python (the base's prefix), version ("3.11"), rpath, preload (sonames that are
loaded before any other), patchelf, managed (what Python says to whoever would install into it, PEP 668).
"""

import os
import shutil
import subprocess

OUT, PREFIX = os.environ["out"], os.environ["python"]
NAME = f"python{os.environ['version']}"
PROGRAM = f"{OUT}/bin/{NAME}"
MARKER = "EXTERNALLY-MANAGED"


def patch(*arguments):
    """One run of patchelf for each kind of change, new names first: 0.14 mixes them up, 0.18 fails the other way."""
    subprocess.run([os.environ["patchelf"], *arguments, PROGRAM], check=True)


def main():
    for folder in ("bin", "lib"):
        os.makedirs(f"{OUT}/{folder}")
    shutil.copyfile(os.path.realpath(f"{PREFIX}/bin/{NAME}"), PROGRAM)
    os.chmod(PROGRAM, 0o755)
    if needed := [word for soname in reversed(os.environ["preload"].split()) for word in ("--add-needed", soname)]:
        patch(*needed)
    patch("--force-rpath", "--add-rpath", os.environ["rpath"])
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
