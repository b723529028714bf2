"""The byte code of one installed wheel: its __pycache__ folders without the sources, as kept.py looks for them.

Input, as environment variables: wheel (its store path), out, python ("3.11").
"""

import os

import bytecode
import workers

WHEEL, OUT = os.environ["wheel"], os.environ["out"]
SITE = f"lib/python{os.environ['python']}/site-packages"
# What is larger is no source: compiling takes many times its size.
LARGEST_SOURCE = 1 << 22


def sources():
    """The files to compile with their sizes, relative to the wheel: not those that the publisher compiled."""
    for folder, _, names in os.walk(f"{WHEEL}/{SITE}"):
        for name in names:
            path = f"{folder}/{name}"
            code = bytecode.place(path)
            fits = len(os.fsencode(os.path.basename(code))) <= 255
            if name.endswith(".py") and fits and bytecode.wanted(path[len(WHEEL) :]) and not os.path.exists(code):
                size = os.stat(path).st_size
                if size <= LARGEST_SOURCE:
                    yield path[len(WHEEL) + 1 :], size


def compile_share(share):
    made = set()
    for path, _ in share:
        with open(f"{WHEEL}/{path}", "rb") as file:
            content = file.read()
        bytecode.write(content, f"{OUT}/{path}", path[len(SITE) + 1 :], made)
    return []


def main():
    os.mkdir(OUT)
    workers.spread(sorted(sources()), lambda source: source[1] * 8, compile_share)
