"""Byte code that is the same on every machine, and that Python never needs to check against its source.

PEP 552: an unchecked hash-based .pyc holds the source's hash instead of its time, and is loaded without a look at the
source, which is right for files that cannot change. The file name inside is relative to the import root: Python puts
the real one in when it loads the file, and the bytes do not depend on where they are stored.
"""

import _imp
import _warnings
import gc
import marshal
import os
import sys

# importlib.util offers the same two values, but takes longer to import than a small wheel takes to compile.
from _frozen_importlib_external import MAGIC_NUMBER

_TAG = sys.implementation.cache_tag
_KEY = int.from_bytes(MAGIC_NUMBER, "little")
_HEADER = MAGIC_NUMBER + (1).to_bytes(4, "little")
_TESTS = {"test", "tests"}

sys.dont_write_bytecode = True
gc.disable()  # compiling leaves no cycles behind, and looking for them takes a fiftieth of the time
# What a source is warned of while it compiles is its author's business. (The module warnings is slow to import.)
_warnings.filters.insert(0, ("ignore", None, Warning, None, 0))


def wanted(place):
    """Whether a file deserves byte code. Test suites that ship inside wheels do not: they are nearly half of the time
    that compiling takes in a scientific environment, and are imported by whoever tests that package, if by anyone."""
    return _TESTS.isdisjoint(place.split("/"))


def place(path):
    """Where the .pyc of a source belongs (PEP 3147)."""
    folder, _, file = path.rpartition("/")
    return f"{folder}/__pycache__/{file[:-3]}.{_TAG}.pyc"


def pyc(source, name):
    """The content of the .pyc for these source bytes, or None when they do not compile (Python 2 templates, …)."""
    try:
        code = compile(source, name, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return None
    return _HEADER + _imp.source_hash(_KEY, source) + marshal.dumps(code)


def write(source, path, name, made=set()):
    """Compiles ``source``, which stands at ``path``, into the ``__pycache__`` beside it."""
    content = pyc(source, name)
    if content is None:
        return
    target = place(path)
    cache = target.rpartition("/")[0]
    if cache not in made:
        os.makedirs(cache, exist_ok=True)
        made.add(cache)
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), "wb", buffering=0) as file:
        file.write(content)
