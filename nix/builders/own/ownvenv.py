"""Makes a venv (PEP 405) over an environment of the store, for the code of one place: .venv, and what Nix builds of a project.

The environment is links to wheels, and knows no project's folder. A venv over it adds the project's own code. Its packages
come by a line in a .pth file, their metadata a second time, because uv and pip look for it in the venv itself; scripts start
this venv's Python. What is written into it later, by uv sync say, never reaches the store.
"""

import glob
import json
import os
import shlex
import types

# A script's first line; older kernels cut it at 127 bytes.
LONGEST = 120
TRAMPOLINE = """#!/bin/sh
'''exec' {python} {options}"$0" "$@"
' '''
"""
# The environment comes before the venv's own folder, so that importlib.metadata finds distributions with their files; behind
# it as soon as uv or pip have put something else there. Python reads the line twice (site.main); the second time it looks
# at no more prefixes, and site.getsitepackages can name the environment's folder, too: libraries of CUDA are found by that.
FIRST = (
    "import os, site, sys; s, e, t = {site!r}, {environment!r}, os.path.join(sys.prefix, {inside!r}); "
    "s in sys.path and e not in site.PREFIXES and site.PREFIXES.append(e); site.addsitedir(s); "
    "len(set(os.listdir(t)) - {{'__pycache__'}}) == {count} and t in sys.path and (sys.path.remove(s), sys.path.insert(sys.path.index(t), s))"
)


# A package of the project's own that has compiled parts is installed, too, as its backend has built it. Its Python files
# are those of the work tree; what is compiled, and what else only the build makes, is what was installed. Of a package
# without compiled parts, that is a module with its version (environment.py).
BUILT = """import os
import sys
from importlib.machinery import ExtensionFileLoader, PathFinder

SITES, ROOTS, MODULES = [{site!r}, {site!r} + "/_nixgen_made"], {roots!r}, {modules!r}


class Finder:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        parent = name.rpartition(".")[0]
        if name.partition(".")[0] not in MODULES:
            return None
        built = PathFinder.find_spec(name, [os.path.join(site, *parent.split(".")) for site in SITES])
        if built and isinstance(built.loader, ExtensionFileLoader):
            return built
        found = PathFinder.find_spec(name, path if parent else ROOTS)
        return next((one for one in (found, built) if one and one.loader), None)


sys.meta_path.insert(0, Finder)
"""

# Where a GPU's driver is, or may be, driven.py leads to it; elsewhere this looks at a few files, which costs microseconds.
DRIVER = (
    "import os; (os.environ.get('NIXGEN_DRIVER') or 'nixgen-driver-' in os.environ.get('LD_LIBRARY_PATH', '') "
    "or any(map(os.path.exists, {signs!r}))) and __import__('_nixgen_driver').lead({driver!r}, {cuda!r}, {environment!r})"
)

# What pip would install would be in no lock, and gone with the next venv. The line asks, and the module answers: also where
# there is no pip, so that a shell's `pip` is never the host's. bin/pip is empty then.
PIP = 'import sys; any("pip" in word for word in sys.orig_argv[1:8]) and __import__("_nixgen_pip").answer(sys.orig_argv[1:])'
PIP_MODULE = '''"""What pip says here."""

import importlib.util
import os
import re
import shlex
import sys

ELSEWHERE = ("--target", "-t", "--prefix", "--root", "--python", "--dry-run", "--help", "-h")
DOES = {"install": "To add packages: nixgen add", "uninstall": "To remove packages: nixgen remove"}


def answer(words):
    """Ends this process with a sentence, where it is a pip that would change the environment, or that is not there."""
    rest = given(words)
    if rest is None:
        return
    verb = next((word for word in rest if word in DOES), "")
    absent = importlib.util.find_spec("pip") is None
    if not absent and (not verb or any(word.partition("=")[0] in ELSEWHERE for word in rest)):
        return
    if verb:
        said = f"{DOES[verb]} {names(rest[rest.index(verb) + 1 :])}"
        text = f"nixgen: this environment has what uv.lock says, and pip changes nothing in it. {said}"
    else:
        text = "nixgen: there is no pip in this environment. What is installed: nixgen show; to add packages: nixgen add NAME"
    os.write(2, f"{text}\\n".encode())
    os._exit(1)


def given(words):
    """What is given to pip, None where something else is run: `python -m pip`, or the script of this environment."""
    for place, word in enumerate(words):
        if word.startswith("-m"):
            module = word[2:] or "".join(words[place + 1 : place + 2])
            return words[place + (1 if word[2:] else 2) :] if module == "pip" else None
        if word.startswith("-c") or word == "-":
            return None
        if not word.startswith("-") and (place == 0 or words[place - 1] not in ("-W", "-X")):
            ours = re.fullmatch(r"pip[0-9.]*", os.path.basename(word)) and os.path.dirname(word) == f"{sys.prefix}/bin"
            return words[place + 1 :] if ours else None
    return None


def names(words):
    kept = [word for place, word in enumerate(words) if not word.startswith("-") or word in ("-r", "--requirement")]
    return shlex.join(kept) or "NAME"
'''


def make(target, environment, root, roots, name, place=None, built=None, kernel=(), activated=types.MappingProxyType({}), driver=None):
    """Makes the folder ``target``, which is to be used at ``place``. ``roots`` are on sys.path, relative to ``root``.

    ``built`` has the ``modules`` of packages that are compiled, and the ``roots`` where their Python files are to be found.
    ``kernel`` is the command that starts a notebook's kernel, where that is not the venv's Python alone; ``activated``
    what scripts such as bin/activate do besides, by their names. ``driver`` is what Python finds a GPU's driver with, if at
    all: the ``signs`` of one, the program ``driver``, and ``cuda``, the setting.
    """
    place = place or target
    (site,) = glob.glob(f"{glob.escape(environment)}/lib/python3.*/site-packages")
    inside = os.path.relpath(site, environment)
    os.makedirs(f"{target}/{inside}")
    os.mkdir(f"{target}/bin")
    _activate(target, place, name)
    for script, text in activated.items():
        os.chmod(f"{target}/bin/{script}", 0o644)  # a template of the store's has no right to write
        with open(f"{target}/bin/{script}", "a", encoding="utf-8") as file:
            file.write(text)
    for entry in os.listdir(f"{environment}/bin"):
        if not os.path.lexists(f"{target}/bin/{entry}"):
            _script(f"{environment}/bin/{entry}", f"{target}/bin/{entry}", f"{environment}/bin/python", f"{place}/bin/python")
    for folder in ("", "/lib", f"/{os.path.dirname(inside)}", f"/{inside}"):
        for entry in set(os.listdir(environment + folder)) - {"bin", "lib", "pyvenv.cfg", *inside.split("/")}:
            if folder != f"/{inside}" or entry.endswith(".dist-info"):
                _mirror(f"{environment}{folder}/{entry}", f"{target}{folder}/{entry}")
    _write(f"{target}/{inside}/_nixgen_pip.py", PIP_MODULE)
    for entry in ("pip", "pip3"):
        if not os.path.lexists(f"{target}/bin/{entry}"):
            _write(f"{target}/bin/{entry}", _head(f"{place}/bin/python", ""), 0o755)
    _kernelspec(target, environment, place, kernel)
    if driver:
        with open(f"{os.path.dirname(os.path.abspath(__file__))}/driven.py", encoding="utf-8") as source:
            _write(f"{target}/{inside}/_nixgen_driver.py", source.read())
    if built and built["modules"]:
        code = [os.path.normpath(os.path.join(root, path)) for path in built["roots"]] if root else []
        _write(f"{target}/{inside}/_nixgen_built.py", BUILT.format(site=site, roots=code, modules=built["modules"]))
    with open(f"{environment}/pyvenv.cfg", encoding="utf-8") as source:
        _write(f"{target}/pyvenv.cfg", source.read())
    # A line with a path alone is for programs that only read it, too, such as type checkers.
    lines = [site, FIRST.format(site=site, environment=environment, inside=inside, count=len(os.listdir(f"{target}/{inside}")) + 1), PIP]
    if driver:
        lines.append(DRIVER.format(environment=environment, **driver))
    if built and built["modules"]:
        lines.append("import _nixgen_built")
    for path in roots:
        path = os.path.normpath(os.path.join(root, path))
        lines.append(os.path.relpath(path, f"{place}/{inside}") if place.startswith(f"{root}/") else path)
    _write(f"{target}/{inside}/_nixgen.pth", "".join(f"{line}\n" for line in lines))
    return f"{target}/{inside}"


def _write(path, text, mode=0o644):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(os.fsencode(text))


def _mirror(source, target):
    """Folders as folders, files as links: nobody writes through them into the store."""
    if not os.path.isdir(source):
        os.symlink(_end(source), target)
        return
    os.mkdir(target)
    for entry in os.listdir(source):
        _mirror(f"{source}/{entry}", f"{target}/{entry}")


def _kernelspec(target, environment, place, command):
    """Where the environment has a kernel for notebooks, the venv's is its own: its Python, or the command."""
    for spec in glob.glob(f"{glob.escape(target)}/share/jupyter/kernels/nixgen-*/kernel.json"):
        with open(spec, encoding="utf-8") as source:
            found = json.loads(source.read().replace(environment, json.dumps(place)[1:-1]))
        if command:
            # VS Code starts a kernel of a venv by the venv's Python, whatever comes first in argv.
            become = "import os, sys; os.execv(sys.argv[1], sys.argv[1:])"
            found |= {"argv": [f"{place}/bin/python", "-c", become, *command, "-f", "{connection_file}"], "env": {}}
        os.unlink(spec)
        _write(spec, json.dumps(found, indent=1) + "\n")


def _end(path):
    """What a link in the environment leads to: one link less on the way."""
    return os.readlink(path) if os.path.islink(path) else path


def _script(source, target, old, new):
    """A script that starts the environment's Python starts the venv's; everything else is linked."""
    first = b""
    if not os.path.islink(source):
        with open(source, "rb") as file:
            first, rest = file.readline(), file.read()
    program, _, options = os.fsdecode(first[2:].strip()).partition(" ")
    if program != old:
        os.symlink(_end(source), target)
        return
    _write(target, _head(new, options) + os.fsdecode(rest), 0o755)


def _head(python, options):
    if len(os.fsencode(python)) < LONGEST and not any(character.isspace() for character in python):
        return f"#!{python}{options and ' '}{options}\n"
    return TRAMPOLINE.format(python=shlex.quote(python), options=options and f"{options} ")


def _activate(target, place, name):
    """bin/activate, also for fish and csh, from Python's own templates."""
    import venv

    program = f"{place}/bin/python"
    names = {"env_dir": place, "env_name": name, "prompt": name, "bin_name": "bin", "env_exe": program, "env_exec_cmd": program}
    venv.EnvBuilder().setup_scripts(types.SimpleNamespace(**names, bin_path=f"{target}/bin"))


def main():
    """As a builder: out, environment, source, project (its name), roots and built as JSON, are environment variables."""
    given = os.environ
    make(given["out"], given["environment"], given["source"], json.loads(given["roots"]), given["project"], built=json.loads(given["built"]))
