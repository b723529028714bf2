"""Starts the kernel of a notebook, with what the shell sets set already.

What is to be said of the environment is said below the first cell: what a kernel prints before that, nobody sees.
Usage: kernel.py ROOT OPTION..., the project's folder, and ipykernel's options: -f FILE, or --f=FILE (VS Code).
"""

import hashlib
import os
import re
import sys

# The programs of the shell are no modules for a notebook.
sys.path[:] = [folder for folder in sys.path if folder != os.path.dirname(os.path.abspath(__file__))]

LOCK = re.compile(r'^    "?([^"\n]*\.lock)"? = "([0-9a-f]{64})";$', re.MULTILINE)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def changed(root):
    """What changed in the project since its shell was entered last, as a sentence; empty where nothing did."""
    try:
        default = read(f"{root}/default.nix")
        noted = read(f"{sys.prefix}/nixgen").decode().splitlines()[4].partition(" ")[0]
        for name, digest in LOCK.findall(default.decode(errors="replace")):
            if name != "nixgen.lock" and hashlib.sha256(read(f"{root}/{name}")).hexdigest() != digest:
                return f"{name} changed after default.nix was generated. Run: nixgen sync"
    except (OSError, IndexError):
        return ""
    if noted and hashlib.sha256(default).hexdigest() != noted:
        return "default.nix changed after this environment was entered. Run: nixgen sync (or nix develop)"
    return ""


def told_below_the_first_cell(shell, text):
    def tell(*_):
        print(text, file=sys.stderr)
        shell.events.unregister("pre_run_cell", tell)

    shell.events.register("pre_run_cell", tell)


def main(root, *options):
    try:
        from ipykernel.kernelapp import IPKernelApp
    except ImportError as error:
        raise SystemExit(f"nixgen: {root} has no kernel for notebooks ({error}). To have one: nixgen add --dev ipykernel") from None
    app = IPKernelApp.instance()
    app.initialize(list(options))
    if text := changed(root):
        told_below_the_first_cell(app.shell, f"nixgen: this kernel has an older environment: {text}, and restart the kernel.")
    app.start()


main(*sys.argv[1:])
