"""Makes bin/NAME, a program that writes the archive of an image to stdout.

Input, as environment variables: out, name, image, environment, and modules, a file with JSON: path → text.
"""

import json
import os

OUT, NAME = os.environ["out"], os.environ["name"]
PROGRAM = """#!{environment}/bin/python -IB
import sys
sys.path.insert(0, {lib!r})
from oci import program
sys.exit(program.main({name!r}, {image!r}))
"""

with open(os.environ["modules"], encoding="utf-8") as file:
    modules = json.load(file)
for name, text in modules.items():
    os.makedirs(os.path.dirname(f"{OUT}/lib/{name}"), exist_ok=True)
    with open(f"{OUT}/lib/{name}", "w", encoding="utf-8") as file:
        file.write(text)
os.mkdir(f"{OUT}/bin")
path = f"{OUT}/bin/{NAME}"
with open(path, "w", encoding="utf-8") as file:
    file.write(PROGRAM.format(environment=os.environ["environment"], lib=f"{OUT}/lib", name=NAME, image=os.environ["image"]))
os.chmod(path, 0o755)
