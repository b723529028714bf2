"""Byte-compiles a builder's own modules, so that none of the many builds that use them must.

Input, as environment variables: out, and modules, a file with JSON: file name → text.
"""

import json
import os
import py_compile

OUT = os.environ["out"]
with open(os.environ["modules"], encoding="utf-8") as file:
    modules = json.load(file)
os.mkdir(OUT)
for name, text in sorted(modules.items()):
    with open(f"{OUT}/{name}", "w", encoding="utf-8") as file:
        file.write(text)
    py_compile.compile(f"{OUT}/{name}", dfile=name, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH, doraise=True)
