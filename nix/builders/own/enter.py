"""Finds the project that a shell was entered for, and makes its venv where that is not as it should be.

A venv is made once for each environment, as .venv-KEY in the project, so that a running shell keeps the one that it has;
.venv, where editors look, is a link to the latest. Outside of the project, and where the project cannot be written, it is
kept in the user's cache in the same way; where that is not the user's alone, or cannot be written, it ends with the shell.

Usage: enter.py FOLDER OWNER, with the folder in which the shell starts, and the process that a private folder belongs to
(see private.py). Prints the project's folder and the venv, a line each. NIXGEN_PLACE is the project's folder, where Nix says
it (nix-shell), and NIXGEN_DIGEST the SHA-256 of its default.nix. A flake is evaluated from a copy: then NIXGEN_SOURCE is the
project's code in the store (empty: no package), and NIXGEN_BELOW where in its repository it lies. NIXGEN_AGAIN is set where
Nix has evaluated nothing, for a notebook's kernel say: then the note keeps what it says of that.
"""

import glob
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import ownvenv
import private

MARKER = "nixgen"
ROOT = "root"  # in a venv: the link that keeps its environment from garbage collection
KEPT = 5  # venvs of a project: those of earlier shells, which may still run
KEPT_OUTSIDE = 10  # of all projects, in the user's cache; and those that were entered in the last day
DAY = 86400
HEADER = "# Made by the shell of nixgen, which makes this folder anew when something else is in it.\n"


def read(path):
    with open(path, "rb") as file:
        return file.read()


def same_code(source, folder, owners):
    """Whether the folder has every file that Nix took from the project, by somebody who may change the project."""
    for place, folders, names in os.walk(source):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in names:
            ours = os.path.join(place, name)
            theirs = os.path.join(folder, os.path.relpath(ours, source))
            if os.path.islink(ours):
                if not os.path.islink(theirs) or os.readlink(theirs) != os.readlink(ours):
                    return False
            elif os.stat(theirs).st_uid not in owners or read(theirs) != read(ours):
                return False
    return True


def project(start):
    """The project's folder, None where the shell starts outside of it. What just looks like a project is not believed.

    It is the folder whose default.nix and code are those that Nix has read, and that belongs to this user, to root, or to
    whom the folder belongs in which the shell starts.
    """
    digest, source, below = (os.environ.get(f"NIXGEN_{name}", "") for name in ("DIGEST", "SOURCE", "BELOW"))
    folder, owners = start, {0, os.geteuid(), os.stat(start).st_uid}
    while digest:
        found = os.path.join(folder, below).rstrip("/") or "/"
        try:
            default = f"{found}/default.nix"
            known = hashlib.sha256(read(default)).hexdigest() == digest
            if known and {os.stat(path).st_uid for path in (found, default)} <= owners:
                if same_code(source, found, owners):
                    return found
                tell(f"the code in {found} is not what Nix has read: this shell uses Nix's copy")
        except OSError:
            pass
        if folder == os.path.dirname(folder):
            break
        folder = os.path.dirname(folder)
    return None


def tell(text, *, always=True):
    if always or sys.stderr.isatty():
        print(f"nixgen: {text}", file=sys.stderr)


class Venv:
    """The venv of a root: what it is to be made of, and the note in it that says what it was made of."""

    def __init__(self, settings, setup, root):
        self.settings, self.setup, self.root = settings, setup, root

    def make(self, target, place=None):
        settings = self.settings
        kernel = [f"{self.setup}/kernel", self.root] if self.root else []
        # What an editor's terminal has of the shell: the GPU's driver.
        driver = {"driver": f"{self.setup}/lib/driver.py", "cuda": settings["cuda"], "signs": settings["signs"]}
        finder = shlex.join([settings["python"], "-ISB", driver["driver"], settings["cuda"], settings["environment"]])
        there = f"-x {shlex.quote(settings['python'])}"
        activated = {
            "activate": f'[ ! {there} ] || eval "$({finder} sh)"\n',
            "activate.fish": f"test {there}; and {finder} fish | source\n",
            "activate.csh": f'if ({there}) then\n  eval "`{finder} csh`"\nendif\n',
        }
        return ownvenv.make(target, settings["environment"], self.root, settings["roots"], settings["name"], place, settings["built"], kernel, activated, driver)

    def in_project(self):
        """Makes the project's venv where it is not there as it was made, and has .venv lead to it."""
        name = f".venv-{self.settings['key']}"
        place = f"{self.root}/{name}"
        setup, root, count = noted(place)
        if setup is None or root != self.root or count != visible(place):
            had = entries(place)
            self.replace(place)
            if setup == self.setup and root == self.root:
                tell_changes(had, entries(place))
            self.keep(place)
            prune(self.root, KEPT)
        self.write_note(place)
        self.link(name)
        return place

    def in_cache(self):
        """The same in the user's cache, one for each root."""
        folder = cache()
        place = f"{folder}/.venv-{hashlib.sha256(os.fsencode(f'{self.setup} {self.root}')).hexdigest()[:32]}"
        if noted(place) == (self.setup, self.root, visible(place)):
            os.utime(f"{place}/{MARKER}")
        else:
            self.replace(place)
            prune(folder, KEPT_OUTSIDE, time.time() - DAY)
        return place

    def replace(self, place):
        made = tempfile.mkdtemp(prefix=".venv-", dir=os.path.dirname(place))
        try:
            os.chmod(made, 0o755)
            self.make(f"{made}/new", place)
            with open(f"{made}/new/.gitignore", "w", encoding="utf-8") as file:
                file.write("*\n")
            self.write_note(f"{made}/new")
            if os.path.lexists(place):
                os.rename(place, f"{made}/old")
            try:
                os.rename(f"{made}/new", place)
            except OSError:
                # Another shell was faster.
                if noted(place)[0] != self.setup:
                    raise
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def keep(self, place):
        """Keeps the environment from garbage collection as long as the venv is there, where Nix can note that."""
        link = f"{place}/{ROOT}"
        nix = shutil.which("nix-store") or "/nix/var/nix/profiles/default/bin/nix-store"
        command = [nix, "--realise", self.setup, "--add-root", link, "--indirect", "--option", "substitute", "false"]
        try:
            subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True)
        except (OSError, subprocess.SubprocessError):
            # A store without a place for that: it has no garbage collection to be afraid of, or none of this user's.
            if os.path.islink(link):
                os.unlink(link)

    def write_note(self, folder):
        seen = " ".join(os.environ.get(f"NIXGEN_{name}", "") for name in ("DIGEST", "SOURCE"))
        if os.environ.get("NIXGEN_AGAIN"):
            seen = noted_digest(folder)
        text, path = f"{HEADER}{self.setup}\n{self.root}\n{visible(folder)}\n{seen}\n", f"{folder}/{MARKER}"
        if not os.path.exists(path) or read(path).decode() != text:
            with open(f"{path}.{os.getpid()}", "w", encoding="utf-8") as file:
                file.write(text)
            os.rename(f"{path}.{os.getpid()}", path)

    def link(self, name):
        """.venv: where it is somebody else's, it stays."""
        link, new = f"{self.root}/.venv", f"{self.root}/.venv-{os.getpid()}.new"
        if os.path.lexists(link):
            if not os.path.islink(link) or not os.readlink(link).startswith(("/nix/store/", ".venv-")):
                tell(".venv is not this environment, and editors use it. To have it so: mv .venv .venv.old", always=False)
                return
            if os.readlink(link) == name:
                return
        os.symlink(name, new)
        os.rename(new, link)


def prune(folder, kept, before=float("inf")):
    """Removes all venvs of a folder but the latest, where they were last made or entered before that time."""
    for note in sorted(glob.glob(f"{glob.escape(folder)}/.venv-*/{MARKER}"), key=entered)[:-kept]:
        if entered(note) < before:
            shutil.rmtree(os.path.dirname(note), ignore_errors=True)


def entered(note):
    try:
        return os.path.getmtime(note)
    except OSError:
        return 0.0  # another shell removes it


def cache():
    """The folder of the user's venvs. Raises OSError where there is none, or another user could put something into it."""
    home, base = os.environ.get("HOME", ""), os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        if not os.path.isabs(home) or not os.path.isdir(home):
            raise FileNotFoundError(home)
        base = f"{home}/.cache"
    folder = f"{base}/nixgen/venvs"
    os.makedirs(folder, 0o700, exist_ok=True)
    for path in (base, f"{base}/nixgen", folder):
        if os.stat(path).st_uid != os.geteuid():
            raise PermissionError(path)
    if os.stat(folder).st_mode & 0o022:
        raise PermissionError(folder)
    return folder


def noted(place):
    """What a venv was made of, as its note says: the shell's setup, the root, and how many entries it had."""
    try:
        lines = read(f"{place}/{MARKER}").decode().splitlines()
    except OSError:
        return None, None, None
    return lines[1], lines[2], int(lines[3])


def noted_digest(place):
    """What its note says of the evaluation that it was made or entered for."""
    try:
        return read(f"{place}/{MARKER}").decode().splitlines()[4]
    except (OSError, IndexError):
        return ""


def entries(venv):
    """What the site-packages of a venv have, but for __pycache__: Python writes that by itself, and nothing is installed then."""
    return {os.path.basename(path) for path in glob.glob(f"{glob.escape(venv)}/lib/python3.*/site-packages/*[!_]")}


def visible(venv):
    """How many those are, as the shell counts them."""
    return len(entries(venv))


def tell_changes(had, has):
    """Says what a venv had that is no part of the environment, and what it lacked."""
    removed, back = "removed from .venv what was installed there", "put back into .venv what was removed there"
    for text, verb, found in ((removed, "add", had - has), (back, "remove", has - had)):
        packages = {name.partition("-")[0] for name in found if name.endswith(".dist-info")}
        if found and all("editable" in name or name.endswith(".pth") for name in found):
            packages = {"the project itself (by uv sync?), which is there anyway"}
        if found:
            tell(f"{text}: {', '.join(sorted(packages or found))}. To {verb} a package: nixgen {verb} NAME")


def main(start, owner):
    setup = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    with open(f"{setup}/lib/settings.json", encoding="utf-8") as file:
        settings = json.load(file)
    root = os.environ.get("NIXGEN_PLACE") or project(start)
    venv = Venv(settings, setup, root or os.environ.get("NIXGEN_SOURCE", ""))
    if not root and venv.root:
        tell("entered from outside of the project: its code is the copy that Nix has made of it", always=False)
    found = None
    for make in ([venv.in_project] if root else []) + [venv.in_cache]:
        try:
            found = make()
            break
        except (OSError, ValueError, IndexError):
            # The folder cannot be written, or something else is in the way.
            continue
    if not found:
        found = f"{private.private_folder(owner, 'venv')}/venv"
        venv.make(found)
    print(f"{venv.root}\n{found}")


main(sys.argv[1], int(sys.argv[2]))
