"""Makes bin/NAME, a program that verifies models and data and then becomes the service's command.

Input, as environment variables: out, name, environment, guard (a package), serve, private and driver (modules),
and ``planPath``, a file with JSON: {"settings": what serve.py reads, "expected": what the guard reads}.
"""

import glob
import json
import os
import py_compile
import shutil

OUT, NAME = os.environ["out"], os.environ["name"]
PROGRAM = """#!{environment}/bin/python -IB
import sys
sys.path.insert(0, {lib!r})
import serve
serve.main({share!r})
"""

with open(os.environ["planPath"], encoding="utf-8") as file:
    plan = json.load(file)
lib, share = f"{OUT}/lib/{NAME}", f"{OUT}/share/{NAME}"
for folder in (f"{OUT}/bin", lib, share):
    os.makedirs(folder)
shutil.copytree(os.environ["guard"], f"{lib}/guard", ignore=shutil.ignore_patterns("__pycache__"), copy_function=shutil.copyfile)
for module in ("driver", "private", "serve"):
    shutil.copyfile(os.environ[module], f"{lib}/{module}.py")
os.chmod(f"{lib}/guard", 0o755)  # the store's has no right to write
# Nobody can write its byte code later, and a start takes half as long again without.
for module in sorted(glob.glob(f"{lib}/**/*.py", recursive=True)):
    py_compile.compile(module, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH, doraise=True)
for part, value in plan.items():
    with open(f"{share}/{part}.json", "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, sort_keys=True)
        file.write("\n")
path = f"{OUT}/bin/{NAME}"
with open(path, "w", encoding="utf-8") as file:
    file.write(PROGRAM.format(environment=os.environ["environment"], lib=lib, share=share))
os.chmod(path, 0o755)
