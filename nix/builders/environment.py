"""Joins installed wheels into one environment: a real venv (PEP 405) made of links, with its own scripts.

Input: the environment variable ``planPath``, a file with JSON:
{"python": "3.11", "launcher": prefix of the patched interpreter, "interpreter": the loader that it starts with, "name": …,
 "wheels": [{"name", "path"}], "prefer": [names], "trees": [{"name", "version", "metadata", "entryPoints", "made"}],
 "assigned": [files with JSON: variable → value], "modules": [folders], both the base's, "kernel": for ipykernel the
{"tools": [folders], "variables": {name: value}} of the shell, else null, "kept": the module that keeps byte code}; and ``out``.

A folder that one wheel owns and that holds nothing for the system's loader becomes one link. A folder with shared
objects becomes a real folder with one link a file: a library that looks for its neighbours at $ORIGIN/../other must
find them in the environment, not in its own wheel's store path.
"""

import base64
import filecmp
import hashlib
import json
import os
import sys

sys.path.insert(0, os.environ["lib"])

import bytecode  # noqa: E402
import entrypoints  # noqa: E402
import relink  # noqa: E402

OUT = os.environ["out"]
with open(os.environ["planPath"], encoding="utf-8") as file:
    PLAN = json.load(file)
PYTHON = f"python{PLAN['python']}"
SITE = f"lib/{PYTHON}/site-packages"
# The loader that finds the project's libraries, where that is not the one which programs of wheels were given.
LOADER = PLAN["interpreter"] or next(filter(os.path.exists, [f"{PLAN['launcher']}/loader"]), "")
# Folders into which the environment itself writes: never one link, however few the wheels are.
REAL = {"", "bin", "lib", f"lib/{PYTHON}", SITE}
KERNELS = "share/jupyter/kernels"
SCRIPT = """#!{python}
import sys
from {module} import {first}
if __name__ == "__main__":
    sys.exit({attribute}())
"""


class Wheel:
    """An installed wheel: its name, store path, entry points, and the folders that must stay real."""

    def __init__(self, name, path, rank):
        self.name, self.path, self.rank = name, path, rank
        self.scripts, self.real, self.patched = {}, set(), set()
        with open(f"{path}/nixgen-facts", encoding="utf-8") as file:
            for kind, value, *target in (line.rstrip("\n").split("\t") for line in file):
                if kind == "script":
                    self.scripts[value] = target[0]
                if kind == "patched":
                    self.patched.add(value)
                while kind == "native" and (value := value.rpartition("/")[0]):
                    self.real.add(value)


class Farm:
    """Collects collisions while it links, so that all of them are told at once."""

    def __init__(self):
        self.collisions, self.programs = [], {}

    def choose(self, place, owners):
        """The owner whose file is linked: of equal files the first, of different ones the preferred wheel's."""
        first, *others = owners
        differing = [other for other in others if not filecmp.cmp(f"{first.path}/{place}", f"{other.path}/{place}", shallow=False)]
        if not differing:
            return first
        best = min(owners, key=lambda wheel: wheel.rank)
        if best.rank == len(PLAN["prefer"]):
            names = " and ".join(wheel.name for wheel in [first, *differing])
            self.collisions.append(f"{place.removeprefix(SITE + '/')} is in {names}, with different content")
        return best

    def merge(self, place, owners):
        """Links what ``owners`` have at ``place``, a folder."""
        # uv takes only real folders for installed distributions.
        if len(owners) == 1 and place not in REAL and place not in owners[0].real and not place.endswith(".dist-info"):
            os.symlink(f"{owners[0].path}/{place}", f"{OUT}/{place}")
            return
        os.makedirs(f"{OUT}/{place}", exist_ok=True)
        children = {}
        for wheel in owners:
            with os.scandir(f"{wheel.path}/{place}") as entries:
                for entry in entries:
                    children.setdefault(entry.name, []).append((wheel, entry.is_dir(follow_symlinks=False)))
        if place == "":
            children.pop("nixgen-facts", None)
        for name, having in sorted(children.items()):
            child = f"{place}/{name}".lstrip("/")
            holders = [wheel for wheel, _ in having]
            folders = [is_folder for _, is_folder in having]
            if all(folders):
                self.merge(child, holders)
            elif any(folders):
                self.decide(child, having)
            else:
                self.link(child, self.choose(child, holders))

    def decide(self, place, having):
        """Links what is a folder in some wheels and a file in others as the preferred wheel has it."""
        best, as_folder = min(having, key=lambda item: item[0].rank)
        if best.rank == len(PLAN["prefer"]):
            names = ", ".join(wheel.name for wheel, _ in having)
            self.collisions.append(f"{place} is a folder in one of {names} and a file in another")
            return
        alike = [wheel for wheel, is_folder in having if is_folder == as_folder]
        if as_folder:
            self.merge(place, alike)
        else:
            self.link(place, self.choose(place, alike))

    def link(self, place, wheel):
        """Links one file; two kinds of programs are copied.

        A script that asks for "#!python", with this environment's Python in it (PEP 427); and a program that was given
        the base's loader, with the one that finds the project's libraries, too.
        """
        source, target = f"{wheel.path}/{place}", f"{OUT}/{place}"
        if place in wheel.patched and LOADER:
            with open(source, "rb") as file:
                program = relink.File(file.read())
            program.interpreter = LOADER.encode()
            write(target, program.write(), 0o755)
            self.programs |= {place.removeprefix("bin/"): wheel} if place.startswith("bin/") else {}
            return
        if place.startswith("bin/"):
            self.programs[place.removeprefix("bin/")] = wheel
            with open(source, "rb") as file:
                first = file.readline()
                if first.startswith(b"#!python"):
                    arguments = first[2:].split(None, 1)[1:]
                    write(target, b" ".join([f"#!{OUT}/bin/python".encode(), *arguments]).rstrip() + b"\n" + file.read(), 0o755)
                    return
        os.symlink(source, target)

    def entry_points(self, scripts):
        """Writes a script for each (rank, distribution, name, "module:object"); two that differ are a collision.

        So is one with another wheel's program; a wheel's own entry point replaces its own program, as pip does it.
        """
        taken = {}
        for rank, owner, name, target in scripts:
            taken.setdefault(name, []).append((rank, target, owner))
        for name, wheel in self.programs.items():
            if name in taken and wheel.name not in [owner for _, _, owner in taken[name]]:
                taken[name].append((wheel.rank, None, wheel.name))
        for name, wanted in sorted(taken.items()):
            rank, target, _ = min(wanted, key=lambda item: item[0])
            if len({item[1] for item in wanted}) > 1 and rank == len(PLAN["prefer"]):
                self.collisions.append(f"the script {name} is in {' and '.join(item[2] for item in wanted)}, and calls something else in each")
            if target is None:
                continue
            module, _, attribute = target.partition(":")
            path = f"{OUT}/bin/{name}"
            if os.path.lexists(path):
                os.unlink(path)
            text = SCRIPT.format(python=f"{OUT}/bin/python", module=module, first=attribute.split(".")[0], attribute=attribute)
            write(path, text.encode(), 0o755)


def write(path, content, mode=0o644):
    """Writes a new file."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)


def install_trees(trees):
    """Makes directory sources known. Their code is brought by a venv over this one (own/ownvenv.py)."""
    for tree in trees:
        name = tree["name"].replace("-", "_").replace(".", "_")
        folder = f"{SITE}/{name}-{tree['version']}.dist-info"
        texts = {"INSTALLER": "nixgen\n", "METADATA": tree["metadata"], "entry_points.txt": tree["entryPoints"]}
        rows = [f"{os.path.basename(folder)}/RECORD,,"]
        os.mkdir(f"{OUT}/{folder}")
        for file, text in sorted(texts.items()):
            content = text.encode()
            if content:
                write(f"{OUT}/{folder}/{file}", content)
                digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
                rows.append(f"{os.path.basename(folder)}/{file},sha256={digest},{len(content)}")
        for file, text in sorted(tree.get("made", {}).items()):
            place = f"{OUT}/{SITE}/_nixgen_made/{file}"
            os.makedirs(os.path.dirname(place), exist_ok=True)
            write(place, text.encode())
            # Without byte code, a Python run by root would write some into the store.
            bytecode.write(text.encode(), place, file)
        write(f"{OUT}/{folder}/RECORD", "".join(row + "\n" for row in sorted(rows)).encode())


def seeding(source):
    """Puts nixgen.seed_everything there, where no package is called so."""
    place = f"{OUT}/{SITE}/nixgen"
    if source is None or os.path.lexists(place) or os.path.lexists(f"{place}.py"):
        return
    os.mkdir(place)
    with open(source, "rb") as file:
        text = file.read()
    write(f"{place}/__init__.py", text)
    bytecode.write(text, f"{place}/__init__.py", "nixgen/__init__.py")


def keeping(source):
    """Puts the module there that keeps byte code (kept.py), and what imports it when Python starts."""
    with open(source, "rb") as file:
        text = file.read()
    write(f"{OUT}/{SITE}/_nixgen_bytecode.py", text)
    bytecode.write(text, f"{OUT}/{SITE}/_nixgen_bytecode.py", "_nixgen_bytecode.py")
    write(f"{OUT}/{SITE}/_nixgen_bytecode.pth", b"import _nixgen_bytecode\n")


def use_base(assigned, modules):
    """Lets the base's libraries find their files by variables, and Python those of its own modules that lie apart.

    A variable that the user set counts, unless it is another environment's.
    """
    found = {}
    for path in reversed(assigned):
        with open(path, encoding="utf-8") as file:
            found |= json.load(file)["values"]
    lines = [folder for part in modules for folder in (part, f"{part}/lib-dynload") if os.path.isdir(folder)]
    if found:
        ours = "os.environ.get(n, '/nix/store/').startswith('/nix/store/')"
        lines.append(f"import os; os.environ.update({{n: v for n, v in {found!r}.items() if {ours}}})")
    if lines:
        write(f"{OUT}/{SITE}/_nixgen_base.pth", "".join(line + "\n" for line in lines).encode())


def kernelspec(shell):
    """What shows Jupyter a kernel by the project's name. A venv over this one has its own instead (own/ownvenv.py)."""
    path = ":".join([f"{OUT}/bin", *shell["tools"], "${PATH}"])
    spec = {
        "argv": [f"{OUT}/bin/python", "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": PLAN["name"],
        "env": {"PATH": path, "VIRTUAL_ENV": OUT, **shell["variables"]},
        "language": "python",
        "metadata": {"debugger": True},
    }
    os.mkdir(f"{OUT}/{KERNELS}/nixgen-{PLAN['name']}")
    write(f"{OUT}/{KERNELS}/nixgen-{PLAN['name']}/kernel.json", (json.dumps(spec, indent=1) + "\n").encode())


def main():
    prefer = PLAN["prefer"]
    rank = {name: index for index, name in enumerate(prefer)}
    wheels = [Wheel(wheel["name"], wheel["path"], rank.get(wheel["name"], len(prefer))) for wheel in PLAN["wheels"]]
    farm = Farm()
    if PLAN["kernel"]:
        REAL.update({"share", "share/jupyter", KERNELS})
    for folder in sorted(REAL):
        os.makedirs(f"{OUT}/{folder}", exist_ok=True)
    farm.merge("", wheels)
    install_trees(PLAN["trees"])
    seeding(PLAN["seeding"])
    keeping(PLAN["kept"])
    use_base(PLAN["assigned"], PLAN["modules"])
    if PLAN["kernel"]:
        kernelspec(PLAN["kernel"])
    scripts = [(wheel.rank, wheel.name, name, target) for wheel in wheels for name, target in wheel.scripts.items()]
    for tree in PLAN["trees"]:
        scripts += [(-1, tree["name"], name, target) for name, target in entrypoints.scripts(tree["entryPoints"])]
    farm.entry_points(scripts)
    if farm.collisions:
        mend = "Drop one of the packages, or say whose files to take: prefer = [\"NAME\"] under [tool.nixgen] in pyproject.toml, then run: nixgen sync"
        raise SystemExit("\n".join(["two packages own the same file:", *(f"  {line}" for line in farm.collisions), mend]))
    for name in ("python", "python3", PYTHON):
        if os.path.lexists(f"{OUT}/bin/{name}"):
            os.unlink(f"{OUT}/bin/{name}")
        os.symlink(f"{PLAN['launcher']}/bin/{PYTHON}", f"{OUT}/bin/{name}")
    lines = [f"home = {PLAN['launcher']}/bin", "implementation = CPython", f"version_info = {'.'.join(map(str, sys.version_info[:3]))}", "include-system-site-packages = false", f"prompt = {PLAN['name']}"]
    write(f"{OUT}/pyvenv.cfg", "".join(line + "\n" for line in lines).encode())


main()
