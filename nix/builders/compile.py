"""Byte-compiles a builder's own modules, so that none of the many builds that use them must. Input: out, src."""

import os
import py_compile

OUT, SRC = os.environ["out"], os.environ["src"]
os.mkdir(OUT)
for name in sorted(os.listdir(SRC)):
    with open(f"{SRC}/{name}", "rb") as source, open(f"{OUT}/{name}", "wb") as target:
        target.write(source.read())
    py_compile.compile(f"{OUT}/{name}", dfile=name, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH, doraise=True)
