"""Imports every top-level module of every installed distribution, and fails with the list of those that do not.

Run with the environment's own Python. A first process imports all in turn; what fails there, or ends it, gets a
process of its own, so that no module is blamed for another's doings. A module of a wheel that asks for one which no package
has cannot work with this uv.lock, under uv neither: a note, and no failure. And every shared object is looked at: what it asks
the loader for has to be in the environment or in the base (needs.py).
"""

import importlib.metadata
import importlib.machinery
import json
import os
import re
import subprocess
import sys

sys.path.append(os.environ["lib"])

import needs  # noqa: E402

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


ABSENT = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")
ERROR = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt)\b")


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


def reason(text, count=3):
    """Where Python says what it was: the line that begins with the error's name and those behind it, else the end."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    starts = [number for number, line in enumerate(lines) if ERROR.match(line)]
    begin = starts[-1] if starts else max(0, len(lines) - count)
    return " | ".join(line.strip() for line in lines[begin : begin + count])


def asks_for_absent(why, modules):
    """The module that another one asks for, where neither Python nor any distribution is to have it, "" else."""
    found = ABSENT.match(why)
    name = found[1].partition(".")[0] if found else ""
    return "" if name in modules or name in sys.stdlib_module_names else name


def libraries_of(folders):
    """The files of the base's libraries by name; of two the one that the loader finds first."""
    there = [folder for folder in folders if os.path.isdir(folder)]
    return {name: f"{folder}/{name}" for folder in reversed(there) for name in os.listdir(folder)}


def place_of(one):
    return one.place.partition("/site-packages/")[2] or one.place


def packages_of(sonames):
    """A list for ``libraries``: the packages of the base that mostly have these."""
    package = needs.debian_package if os.environ["debian"] else needs.NIXPKGS.get
    names = sorted({package(soname) for soname in sonames} - {None})
    return ", ".join(f'"{name}"' for name in names)


def lacking(objects, base, skip):
    """What shared objects ask for and is not there: lines for what is wrong, notes of plugins, and the sonames."""
    found, plugins = needs.missing(objects, base, skip)
    lines, notes, wrong = [], [], sorted({soname for soname, _, _ in found})
    for soname in wrong:
        (one, module), *more = [(one, module) for name, one, module in found if name == soname]
        others = f", and so do {len(more)} more" if more else ""
        lines.append(f"  {soname}: {place_of(one)} (of {one.wheel}) needs it{others}: {module} cannot be imported")
    for sonames, asking in plugins:
        for wheel in sorted({one.wheel for one in asking}):
            first, *more = [place_of(one) for one in asking if one.wheel == wheel]
            others = f" and {len(more)} more files" if len(more) > 1 else " and another file" if more else ""
            usual = f' (usually in {packages_of(sonames).replace(chr(34), "")})' if packages_of(sonames) else ""
            notes.append(f"note: {wheel}: {first}{others} cannot be loaded without {', '.join(sonames)}{usual}; no module needs that\n")
    return lines, notes, wrong


def main():
    trees = json.loads(os.environ["trees"])
    modules = {}
    for distribution in importlib.metadata.distributions():
        for name in top_level(distribution):
            modules.setdefault(name, distribution.name)
    for tree in trees:
        for name in tree["modules"]:
            modules.setdefault(name, tree["name"])
    own = {tree["name"] for tree in trees}
    skip = set(os.environ["skip"].split())
    waiting, good = sorted(set(modules) - skip), set()
    result = subprocess.run([sys.executable, "-c", MANY, *waiting], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    good.update(result.stdout.split())
    failures, useless = [], {}
    for name in sorted(set(waiting) - good):
        result = subprocess.run([sys.executable, "-c", ONE, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if result.stdout.split() == [name]:
            continue
        why = reason(result.stderr) or f"the process ended with {result.returncode}"
        line = f"  {name} (of {modules[name]}): {why}"
        if modules[name] not in own and (absent := asks_for_absent(why, modules)):
            useless[name] = absent, line
        else:
            failures.append(line)
    if waiting and len(useless) == len(waiting):  # of an environment of which nothing works, nothing good is said
        failures, useless = [line for _, line in useless.values()], {}
    waiting = [name for name in waiting if name not in useless]
    if not modules and not os.environ.get("empty"):
        raise SystemExit("no module was found in any package of the environment: there is nothing to import")
    base = libraries_of(os.environ["search"].split(":"))
    objects = needs.objects(os.environ["environment"], json.loads(os.environ["wheels"])) if base else []
    libraries, notes, sonames = lacking(objects, base, skip)
    notes += [f"note: {modules[name]}: {name} cannot be imported without {absent}, which no package has\n" for name, (absent, _) in useless.items()]
    warnings = [
        f"warning: {soname}: {one} and {other} differ, and a process gets the one that is loaded first\n"
        for soname, one, other in needs.twice(objects, base)
    ]
    print("".join([*notes, *warnings]), end="", flush=True)
    problems = [f"{len(failures)} of {len(waiting)} modules cannot be imported:", *failures] if failures else []
    if libraries:
        problems += [f"{len(libraries)} libraries are missing:" if len(libraries) > 1 else "1 library is missing:", *libraries]
        named = packages_of(sonames) or '"NAME"'
        usual = f" ({'Debian' if os.environ['debian'] else 'nixpkgs'}'s usual names for them)" if "NAME" not in named else ""
        problems.append(f"Add the packages that have them: libraries = [{named}]{usual} under [tool.nixgen] in pyproject.toml, then run: nixgen sync")
    if problems:
        mend = 'A module that cannot work here on purpose: skip-imports = ["NAME"] under [tool.nixgen] in pyproject.toml, then run: nixgen sync'
        raise SystemExit("\n".join([*problems, mend]))
    with open(os.environ["out"], "w", encoding="utf-8") as file:
        file.writelines([*(f"{name}\n" for name in waiting), *warnings, *notes])
    print(f"{len(waiting)} modules of {len({modules[name] for name in waiting})} distributions imported")


main()
