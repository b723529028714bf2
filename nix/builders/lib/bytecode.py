"""Byte code that is the same on every machine, and that Python never needs to check against its source.

PEP 552: an unchecked hash-based .pyc holds the source's hash instead of its time, and is loaded without a look at the
source, which is right for files that cannot change. The file name inside is relative to the import root: Python puts
the real one in when it loads the file, and the bytes do not depend on where they are stored.
"""

import importlib.util
import marshal
import os
import sys
import warnings

_TAG = sys.implementation.cache_tag
_HEADER = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little")

warnings.simplefilter("ignore")
sys.dont_write_bytecode = True


def pyc(source, name):
    """The content of the .pyc for these source bytes, or None when they do not compile (Python 2 templates, …)."""
    try:
        code = compile(source, name, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return None
    return _HEADER + importlib.util.source_hash(source) + marshal.dumps(code)


def write(source, path, name, made=set()):
    """Compiles ``source``, which stands at ``path``, into the ``__pycache__`` beside it."""
    content = pyc(source, name)
    if content is None:
        return
    folder, file = os.path.split(path)
    cache = os.path.join(folder, "__pycache__")
    if cache not in made:
        os.makedirs(cache, exist_ok=True)
        made.add(cache)
    with open(f"{cache}/{file[:-3]}.{_TAG}.pyc", "wb", buffering=0) as target:
        target.write(content)
