"""Imports every top-level module of every installed distribution, and fails with the list of those that do not.

Run with the environment's own Python. A first process imports all in turn; what fails there, or ends it, gets a
process of its own, so that no module is blamed for another's doings.
"""

import importlib.metadata
import importlib.machinery
import json
import os
import subprocess
import sys
import sysconfig

SUFFIXES = sorted((*importlib.machinery.all_suffixes(),), key=len, reverse=True)
# A module counts when its name arrives: one that ends the process, even with 0, was not imported. What modules print
# themselves goes elsewhere.
ONE = """
import importlib, os, sys
done = os.fdopen(os.dup(1), "w", 1)
os.dup2(2, 1)
importlib.import_module(sys.argv[1])
print(sys.argv[1], file=done)
os._exit(0)
"""
MANY = """
import importlib, os, sys
done = os.fdopen(os.dup(1), "w", 1)
os.dup2(2, 1)
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
        print(name, file=done)
    except BaseException:
        pass
os._exit(0)
"""


def top_level(distribution):
    """The names that can be imported after installing a distribution: its folders and modules in site-packages."""
    names = set()
    for path in distribution.files or ():
        first, *rest = path.parts
        if first in ("..", "__pycache__") or first.endswith((".dist-info", ".data", ".libs")):
            continue
        if rest:
            if path.name.endswith(tuple(SUFFIXES)) and first.isidentifier():
                names.add(first)
            continue
        suffix = next((suffix for suffix in SUFFIXES if first.endswith(suffix)), None)
        if suffix and first.removesuffix(suffix).isidentifier():
            names.add(first.removesuffix(suffix))
    return names


def last_lines(text, count=3):
    """The end of an error text, where Python says what it was."""
    return " | ".join(line.strip() for line in text.strip().splitlines()[-count:])


def main():
    trees = json.loads(os.environ["trees"])
    modules = {}
    for distribution in importlib.metadata.distributions(path=[sysconfig.get_path("purelib")]):
        for name in top_level(distribution):
            modules.setdefault(name, distribution.name)
    for tree in trees:
        for name in tree["modules"]:
            modules.setdefault(name, tree["name"])
    waiting, good = sorted(set(modules) - set(os.environ["skip"].split())), set()
    result = subprocess.run([sys.executable, "-c", MANY, *waiting], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    good.update(result.stdout.split())
    failures = []
    for name in sorted(set(waiting) - good):
        result = subprocess.run([sys.executable, "-c", ONE, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if result.stdout.split() != [name]:
            failures.append(f"  {name} (of {modules[name]}): {last_lines(result.stderr) or f'the process ended with {result.returncode}'}")
    if not waiting and not os.environ.get("empty"):
        raise SystemExit("no module was found: the environment is empty")
    if failures:
        mend = 'A module that cannot work here on purpose: skip-imports = ["NAME"] under [tool.nixgen] in pyproject.toml, then run: nixgen generate'
        raise SystemExit("\n".join([f"{len(failures)} of {len(waiting)} modules cannot be imported:", *failures, mend]))
    with open(os.environ["out"], "w", encoding="utf-8") as file:
        file.writelines(f"{name}\n" for name in waiting)
    print(f"{len(waiting)} modules of {len(set(modules.values()))} distributions imported")


main()
