"""Byte code of what lies in Nix's store. Nothing may be written beside it, so Python's own place for it is not there.

Where there is a .pyc beside a source, it counts. Otherwise it is looked for by the name of the store path, whose content
never changes: in the folder that NIXGEN_BYTECODE names, which Nix built; without that in the user's cache, into which a
module is compiled when it is first imported. PYTHONDONTWRITEBYTECODE and PYTHONPYCACHEPREFIX mean what they always mean.
"""

import os
import sys
from importlib import machinery

# This file is STORE/NAME/lib/pythonX.Y/site-packages/_nixgen_bytecode.py.
STORE = __file__.rsplit("/", 5)[0] + "/"
BUILT = os.environ.get("NIXGEN_BYTECODE", "")
found, real_folders = [], {}


def cache():
    """The user's cache, looked for once."""
    if not found:
        found.append(look_for_cache())
    return found[0]


def look_for_cache():
    """The folder of the user's cache, only the user's; empty where there is none, as for a builder without a home."""
    home = os.environ.get("HOME", "")
    base = os.environ.get("XDG_CACHE_HOME", "") or (home and f"{home}/.cache")
    folder = f"{base}/nixgen/bytecode"
    try:
        # A home that is not there, or another user's, is left as it is.
        if os.stat(base if os.path.isdir(base) else os.path.dirname(base)).st_uid != os.geteuid():
            return ""
        if not sys.dont_write_bytecode:
            os.makedirs(folder, 0o700, exist_ok=True)
        status = os.lstat(folder)
    except OSError:
        return ""
    return folder if status.st_uid == os.geteuid() and not status.st_mode & 0o022 else ""


def place(source, pyc):
    """Where the byte code ``pyc`` of ``source`` is kept, empty where it is not: below the real file's own store path."""
    kept = BUILT or cache()
    folder = os.path.dirname(source)
    try:
        folder = os.path.dirname(os.readlink(source))
    except OSError:
        if folder not in real_folders:
            real_folders[folder] = os.path.realpath(folder)
        folder = real_folders[folder]
    return f"{kept}/{folder[len(STORE) :]}/__pycache__/{os.path.basename(pyc)}" if kept and folder.startswith(STORE) else ""


class Loader(machinery.SourceFileLoader):
    """Python's own loader, with that other place for byte code."""

    def get_data(self, path):
        try:
            return super().get_data(path)
        except FileNotFoundError:
            kept = place(self.path, path) if path.endswith(".pyc") else ""
            if not kept:
                raise
        return super().get_data(kept)

    def _cache_bytecode(self, source_path, bytecode_path, data):
        kept = place(source_path, bytecode_path)
        if kept and not BUILT:
            self.set_data(kept, data)


def install():
    """Takes the folders of the store over from Python's own finder, also those that it has looked into already."""
    finder = machinery.FileFinder.path_hook(
        (machinery.ExtensionFileLoader, machinery.EXTENSION_SUFFIXES),
        (Loader, machinery.SOURCE_SUFFIXES),
        (machinery.SourcelessFileLoader, machinery.BYTECODE_SUFFIXES),
    )

    def hook(path):
        if not path.startswith(STORE):
            raise ImportError("not in the store", path=path)
        return finder(path)

    sys.path_hooks.insert(0, hook)
    for path in [path for path in sys.path_importer_cache if path.startswith(STORE) and not path.startswith(sys.base_prefix)]:
        del sys.path_importer_cache[path]


if sys.pycache_prefix is None:
    install()
