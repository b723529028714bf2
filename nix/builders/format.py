"""Formats what is given, or the whole work tree: white space in .nix files; Python files with RUFF when there is one."""

import os
import subprocess
import sys


def nix_files(paths):
    """The .nix files among and below the paths, but for hidden folders and links."""
    for path in paths:
        if os.path.isfile(path) and path.endswith(".nix"):
            yield path
        for folder, folders, files in os.walk(path):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            yield from (os.path.join(folder, name) for name in sorted(files) if name.endswith(".nix") and not os.path.islink(os.path.join(folder, name)))


def main():
    paths = sys.argv[1:] or ["."]
    for path in nix_files(paths):
        with open(path, encoding="utf-8", newline="") as file:
            old = file.read()
        new = "\n".join(line.rstrip() for line in old.replace("\r\n", "\n").split("\n")).rstrip("\n") + "\n"
        if new != old:
            with open(path, "w", encoding="utf-8", newline="") as file:
                file.write(new)
            print(f"formatted {path}", file=sys.stderr)
    if RUFF:
        sys.exit(subprocess.run([RUFF, "format", *paths]).returncode)


main()
