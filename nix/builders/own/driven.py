"""Leads a Python that nothing has led, an editor's say, to the GPU driver's libraries: driver.py finds them.

The loader reads LD_LIBRARY_PATH when a process starts. So this one starts once more with it, before anything of the program
has run; then the variable is as it was, and what this process starts inherits nothing. And ctypes.util.find_library, which
knows the environment's libraries only, names the driver's, too.
"""

import builtins
import os
import sys
from importlib.machinery import PathFinder

LED, PATH = "NIXGEN_LED", "LD_LIBRARY_PATH"
_done = []  # site reads a .pth file twice


def lead(driver, cuda, environment):
    if _done:
        return
    _done.append(True)
    folders = os.environ.get(PATH, "").split(":")
    led, before = os.environ.pop(LED, "-").split("-", 1)
    if led == str(os.getpid()):
        os.environ.pop(PATH) if not before else os.environ.update({PATH: before})
    elif cuda != "off" and os.environ.get("NIXGEN_DRIVER") != "off" and not ours(folders) and begins():
        again(driver, cuda, environment)
    for folder in ours(folders):
        if "ctypes.util" in sys.modules:
            add(sys.modules["ctypes.util"], folder)
        else:
            sys.meta_path.insert(0, Finder(folder))


def ours(folders):
    return [folder for folder in folders if os.path.basename(folder).startswith("nixgen-driver-")][:1]


def begins():
    """Whether this is the start of a process that is this venv's Python, and nothing else (a program with Python in it)."""
    try:
        own = os.path.samefile("/proc/self/exe", sys.executable)
    except OSError:
        return False
    return own and __file__.startswith(f"{sys.prefix}/") and not hasattr(builtins, "exit")  # site's last step


def again(driver, cuda, environment):
    """Becomes the same with the driver's folder; says nothing where there is none that can be used: the shell does."""
    found = type(sys)("nixgen_driver")
    found.__file__ = driver
    try:
        with open(driver, encoding="utf-8") as file:
            exec(compile(file.read(), driver, "exec"), found.__dict__)
        found._tell = lambda *_: None
        variables = found.variables(cuda, [environment])
        if ours(variables[PATH].split(":")):
            before = os.environ.get(PATH, "")
            os.execve(sys.executable, sys.orig_argv, {**os.environ, **variables, LED: f"{os.getpid()}-{before}"})
    except OSError:
        pass


class Finder:
    """Of the one module ctypes.util, when it is imported."""

    def __init__(self, folder):
        self.folder = folder

    def find_spec(self, name, path=None, target=None):
        if name != "ctypes.util":
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path)
        run = spec.loader.exec_module
        spec.loader.exec_module = lambda module: (run(module), add(module, self.folder))
        return spec


def add(module, folder):
    find = module.find_library

    def find_library(name):
        own = (file for file in os.listdir(folder) if file.startswith(f"lib{name}.so."))
        return find(name) or min(own, key=len, default=None)

    module.find_library = find_library
