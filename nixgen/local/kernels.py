"""Kernels for notebooks: what shows Jupyter, VS Code and PyCharm a project's environment by its name.

A kernel of the user's is a folder with ``kernel.json``, which says what it is of, and a script that starts it: through
the venv that the project's shell made last, so that a kernel is what the shell is. Where that is gone, the script says
what to type, on stderr, which Jupyter logs and editors show.

Some versions of VS Code list a kernel of Python's only where they know an interpreter for it, and start it by that: it
runs what follows behind the first word of ``argv``, where ``-f`` has to stand before the connection file, and becomes
``--f=FILE``. So the first script is one of Python's as well, and both lead to the second.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nixgen.errors import Finding, MachineError, Problem, UserError
from nixgen.formats import jsontext
from nixgen.formats.foreign import lookup
from nixgen.local import venvs
from nixgen.machine import files, folders
from nixgen.project.project import Project
from nixgen.sync import shell

JSON_VERSION = 1
"""The version of the JSON's form: it grows when a key changes its meaning or goes."""

_SPEC, _START, _SCRIPT = "kernel.json", "start", "start.sh"
_PREFIX = "nixgen-"
_PACKAGE = "ipykernel"

_BOTH = """\
#!/bin/sh
# Written by nixgen kernel install, for sh and for Python: both go on with start.sh.
''':'
exec /bin/sh "$0.sh" "$@"
'''
import os, sys
os.execv("/bin/sh", ["/bin/sh", sys.argv[0] + ".sh", *sys.argv[1:]])
"""
_TEXT = """\
#!/bin/sh
# Written by nixgen kernel install: starts a notebook's kernel in the environment of a project.
root={root}
full={full}
fail() {{
    echo "nixgen: $*" >&2
    exit 1
}}
# VS Code shows the first hundred characters: what to type comes early.
[ -d "$root" ] || fail "the project of this kernel is gone. Run: nixgen kernel remove {name} (it was in $root)"
found= setup=
# The venv of this environment that .venv leads to, else the one that was entered last.
for note in "$root"/.venv-*/nixgen; do
    [ -O "$note" ] || continue
    one=$(sed -n 2p "$note")
    case ${{one##*/}} in
        ????????????????????????????????-"$full"-setup) ;;
        *) continue ;;
    esac
    if [ "$note" -ef "$root/.venv/nixgen" ]; then
        found=$note setup=$one
        break
    elif [ -z "$found" ] || [ "$note" -nt "$found" ]; then
        found=$note setup=$one
    fi
done
again={again}
[ -n "$setup" ] || fail "$full has no environment. $again"
[ -e "$setup" ] || fail "the environment of $full is gone. $again (Nix's garbage collection has removed it)"
[ -x "$setup/kernel" ] || fail "the environment of $full is of an older nixgen. $again"
# By the way by which it was entered, which may have links in it.
entered=$(sed -n 3p "$found")
[ "$entered" -ef "$root" ] || entered=$root
exec "$setup/kernel" "$entered" "$@"
"""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel of the user's that nixgen wrote: its name, folder, and the project and environment ("") that it is of.

    ``full`` is the environment's name as its shell has it: ``demo``, ``demo-docs``.
    """

    name: str
    folder: Path
    title: str
    root: Path
    environment: str
    full: str

    def broken(self) -> str:
        """Why it can never start again, as it is; empty where it can."""
        if not (self.root / "default.nix").is_file():
            return f"its project is gone: {self.root}"
        there = all((self.folder / name).is_file() for name in (_START, _SCRIPT))
        return "" if there else "its script is gone"

    def problem(self) -> str:
        """What keeps it from starting, in a few words; empty where nothing does."""
        if broken := self.broken():
            return broken.partition(":")[0]
        venv = venvs.current(self.root, self.full)
        if venv is None:
            return "its environment was never entered"
        if not Path(venv.setup).exists():
            return "its environment was removed by Nix's garbage collection"
        return "" if has_kernel(venv) else f"its environment has no {_PACKAGE}"

    def mend(self) -> str:
        """What has it start again, or removes it where that cannot be; to be typed."""
        gone = not (self.root / "default.nix").is_file()
        return f"nixgen kernel remove {self.name}" if gone else self.again()

    def again(self) -> str:
        """What installs it again."""
        option = f" --env {self.environment}" if self.environment else ""
        return f"cd {shlex.quote(str(self.root))} && nixgen kernel install{option}"


def place() -> Path:
    """Where the kernels of this user are."""
    return folders.jupyter("kernels")


def known() -> list[Kernel]:
    """Those of this user that nixgen wrote, by name."""
    try:
        names = sorted(path.name for path in place().iterdir() if path.name.startswith(_PREFIX))
    except OSError:
        return []
    return [kernel for kernel in map(_read, names) if kernel is not None]


def _read(name: str) -> Kernel | None:
    """A kernel, None where nothing is there, or somebody else wrote it."""
    folder = place() / name
    try:
        if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
            return None
        spec: Any = json.loads(files.contents(folder / _SPEC))
    except (OSError, ValueError):
        return None
    said = [lookup(spec, "metadata", "nixgen", key) for key in ("project", "environment", "full")]
    if not all(isinstance(one, str) for one in said):
        return None
    project, environment, full = said
    return Kernel(name, folder, str(lookup(spec, "display_name")), Path(project), environment, full)


def has_kernel(venv: venvs.Venv) -> bool:
    """Whether a venv's environment can start a kernel."""
    return (venv.folder / "share/jupyter/kernels" / f"{_PREFIX}{venv.full}" / _SPEC).exists()


def install(project: Project, environment: str) -> Kernel:
    """Writes a kernel for the user, building what is missing of the environment; what was written.

    Raises UserError where the environment has no ipykernel, or something else has the kernel's name, and MachineError.
    """
    view = project.of(environment) if environment else project
    lacking = UserError.of(f"{project.lock}", f"has no {_PACKAGE}, which starts a kernel", _mend(view))
    if f'"{_PACKAGE}"'.encode() not in (files.read(project.root, view.lock) or b""):
        raise lacking
    if not project.path("default.nix").exists():
        raise UserError.of("", f"{project.name} is not set up yet", "nixgen init")
    if not shell.ready(project, environment).venv:
        raise MachineError.of(
            "Nix", "has its store elsewhere than in /nix, where a kernel is not found", "nixgen doctor"
        )
    full = f"{project.name}-{environment}" if environment else project.name
    venv = venvs.current(project.root, full)
    if venv is None:
        what = "holds no environment after its shell was entered: the folder cannot be written, or has another .venv-…"
        raise MachineError.of(str(project.root), what, "make it writable, or work on a copy")
    if not has_kernel(venv):
        raise lacking
    kernel = _named(project.root, full, environment)
    wanted = {_SPEC: _spec(kernel), _START: _BOTH, _SCRIPT: _script(kernel)}
    files.write_all(place(), {f"{kernel.name}/{name}": text.encode() for name, text in wanted.items()})
    return kernel


def _mend(view: Project) -> str:
    """What adds ipykernel to an environment, to be typed."""
    groups = view.settings.groups
    if view.script is not None:
        added = f"--script {view.script.path} "
    elif groups is None or "dev" in groups:
        added = "--dev "
    else:
        added = f"--group {groups[0]} " if groups else ""
    return f"nixgen add {added}{_PACKAGE}"


def _named(root: Path, full: str, environment: str) -> Kernel:
    """The kernel of an environment; where another project of that name has one, the folder tells the two apart."""
    name, title = f"{_PREFIX}{full}", full
    other = _read(name)
    if other is not None and other.root != root and other.root.is_dir():
        name, title = f"{name}-{hashlib.sha256(str(root).encode()).hexdigest()[:8]}", f"{full} ({root.parent.name})"
    folder = place() / name
    if os.path.lexists(folder) and _read(name) is None and os.path.lexists(folder / _SPEC):
        raise UserError.of(str(folder), "is in the way, and nixgen did not write it", "move it elsewhere")
    return Kernel(name, folder, title, root, environment, full)


def _spec(kernel: Kernel) -> str:
    said = {"project": str(kernel.root), "environment": kernel.environment, "full": kernel.full}
    python = str(kernel.root / venvs.LINK / "bin/python")
    spec = {
        "argv": ["/bin/sh", str(kernel.folder / _START), "-f", "{connection_file}"],
        "display_name": kernel.title,
        "language": "python",
        "metadata": {"debugger": True, "interpreter": {"path": python}, "nixgen": said},
    }
    return jsontext.dumps(spec) + "\n"


def _script(kernel: Kernel) -> str:
    root, full, again = map(shlex.quote, (str(kernel.root), kernel.full, f"Run: {kernel.again()}"))
    return _TEXT.format(root=root, full=full, again=again, name=kernel.name)


def chosen(names: Sequence[str], root: Path | None) -> list[Kernel]:
    """The kernels that are named, or all of a project's. Raises Finding for each that is not there."""
    every = known()
    if not names:
        mine = [kernel for kernel in every if kernel.root == root]
        if not mine:
            raise Finding.of(str(root), "has no kernel", "see which there are: nixgen kernel list")
        return mine
    found = {kernel.name: kernel for kernel in every}
    called = {name: name if name in found else f"{_PREFIX}{name}" for name in names}
    missing = [name for name in names if called[name] not in found]
    if missing:
        mend = "see which there are: nixgen kernel list"
        raise Finding(Problem(name, "is no kernel that nixgen wrote", mend) for name in missing)
    return [found[called[name]] for name in names]


def remove(kernels: Iterable[Kernel]) -> None:
    """Removes what nixgen wrote of kernels; what somebody else has put beside it stays."""
    for kernel in kernels:
        files.write_all(place(), {}, [f"{kernel.name}/{name}" for name in (_SPEC, _START, _SCRIPT)])


def as_json(kernels: Iterable[Kernel]) -> str:
    """Kernels for programs; ``problem`` is what keeps one from starting, null where nothing does."""
    rows = [
        {
            "name": kernel.name,
            "title": kernel.title,
            "project": str(kernel.root),
            "environment": kernel.environment or None,
            "folder": str(kernel.folder),
            "problem": kernel.problem() or None,
        }
        for kernel in kernels
    ]
    return jsontext.dumps({"version": JSON_VERSION, "kernels": rows})


def as_rows(kernels: Iterable[Kernel]) -> list[tuple[str, ...]]:
    """Kernels for people."""
    return [(kernel.name, kernel.problem() or "ready", str(kernel.root)) for kernel in kernels]
