"""What a run's record says of the machine, the environment, the project and its tree.

All of it is cheap: nothing is evaluated, built or hashed that Nix knows already, or nixgen.hashes.json. What is
found out while the command runs is imported then, too.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from nixgen.bases.model import Base, DebianBase
from nixgen.console import size as shown_size
from nixgen.errors import MachineError, NixgenError
from nixgen.formats import foreign, toml
from nixgen.lock import lockfile, logpins
from nixgen.lock.model import Lock
from nixgen.machine import addresses, files, git, host, process
from nixgen.machine.git import State
from nixgen.nix.json import STORE
from nixgen.registry.address import is_folder
from nixgen.runs import config
from nixgen.runs.model import DIFF, FOLDER, REPORT_MARK, Artifact, Environment, Git, Gpu, Machine, ProjectFiles

LARGEST = 16 << 20
"""Bytes of a new file that a tree's diff may have."""

_HEAD = 1000  # bytes of a page in which its mark is
_NVIDIA = Path("/proc/driver/nvidia")
_PATIENCE = 10.0  # seconds for nvidia-smi, which waits where a driver hangs
_FILES = (
    *(".python-version", "default.nix", "flake.lock", "models.toml", "nixgen.hashes.json", "nixgen.lock"),
    *("pyproject.toml", "uv.lock", "uv.toml"),
)
_SECRET_FILES = (
    *(".env", ".env.*", "*.env", "*.pem", "*.key", "*.p12", "*.pfx", "*.kdbx", "id_rsa*", "id_ecdsa*", "id_ed25519*"),
    *(".netrc", ".pypirc", ".npmrc", ".htpasswd", "credentials", "credentials.*", "secrets.*", "*.tfstate"),
)


@dataclass(frozen=True, slots=True)
class Tree:
    """The git tree of a project: what the record says, what git knows, what does not count, what a diff lacks.

    Paths ``without`` are relative to the project, all others to the top of the repository; ``left_out`` are those of
    changed files that the diff has not.
    """

    git: Git
    state: State
    without: tuple[str, ...]
    new: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def changes(self) -> tuple[str, ...]:
        """The paths that make it dirty, relative to the top of the repository."""
        return (*self.state.changed, *self.state.untracked)


def tree(root: Path, written: Iterable[Path]) -> Tree | None:
    """The tree before a command is started, None outside of one; with no diff yet.

    Runs and registries do not count, nor do new files that are pages of ``nixgen report``, nor those at the paths
    ``written``: the command makes them. Raises MachineError where git cannot be asked.
    """
    without = (FOLDER, *_registries(root))
    try:
        state = git.state(root, without)
    except MachineError:
        if not git.in_work_tree(root):
            return None
        raise
    made = [os.path.relpath(path, state.top.resolve()) for path in written]
    own = [
        path
        for path in state.untracked
        if not any(path == one or path.startswith(f"{one}/") for one in made) and not _is_report(state.top / path)
    ]
    state = replace(state, untracked=tuple(own))
    lacks = [f"{DIFF}: the changes inside of the submodule {path}" for path in state.submodules]
    new, left_out = [], []
    for path in own:
        if why := _left_out(state.top, path) or _secret(state.top, path):
            lacks.append(f"{DIFF}: {path} ({why})")
        else:
            new.append(path)
    for path in state.changed:
        if why := _secret(state.top, path):
            lacks.append(f"{DIFF}: {path} ({why})")
            left_out.append(path)
    found = Git(
        commit=state.commit,
        branch=state.branch,
        remote=_remote(state),
        dirty=bool(state.changed or own),
    )
    return Tree(found, state, without, tuple(new), tuple(lacks), tuple(left_out))


def write_diff(root: Path, found: Tree, folder: Path) -> Git:
    """Writes what a dirty tree has that its commit has not into a run's folder; what the record then says of it."""
    if not found.git.dirty:
        return found.git
    git.write_diff(root, found.state, folder / DIFF, found.new, found.without, found.left_out)
    with (folder / DIFF).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return replace(found.git, diff=DIFF, sha256=digest)


def _registries(root: Path) -> list[str]:
    """The folders of the project that are registries: their own log tells what happened to them."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        text = files.contents(root / lockfile.NAME).decode()
        return [pin.url for pin in lockfile.logs_of(text, logpins.REGISTRY) if is_folder(pin.url)]
    return []


def project(root: Path, found: Tree | None) -> ProjectFiles:
    """The project's name, its place in its repository, and the hashes of the files that its environment is made of."""
    hashes = {}
    for file in sorted({*_FILES, *(path.name for path in root.glob("pylock*.toml"))}):
        with contextlib.suppress(OSError):
            hashes[file] = hashlib.sha256(files.contents(root / file)).hexdigest()
    name: Any = ""
    with contextlib.suppress(OSError, UnicodeDecodeError, toml.TomlError):
        name = foreign.lookup(toml.loads(files.contents(root / "pyproject.toml").decode()), "project", "name")
    return ProjectFiles(name if isinstance(name, str) else "", (found and found.state.below) or ".", hashes)


def environment(name: str, venv: str, root: Path, base: Base) -> Environment:
    """The environment that a venv is over, or that is the venv. ``name`` is empty for the default one.

    Raises MachineError where Nix cannot be asked about it.
    """
    from nixgen.check.facts import system

    described = f"debian {base.suite}" if isinstance(base, DebianBase) else f"nixpkgs {base.name}"
    found = Environment(name=name, system=system(), base=described)
    path = _store_path(venv)
    found = replace(found, path=path, python=_python(Path(path or venv)))
    return replace(found, **_digests(path, root)) if path else found


def ask_early(venv: str) -> None:
    """Asks what :func:`environment` will ask of this venv, so that the answer is there by then. Raises as it does."""
    if path := _store_path(venv):
        closure_of(path)


@cache
def closure_of(path: str) -> tuple[str, str]:
    """A store path's NAR hash (SRI) and the digest of its closure, as Nix's database has them.

    Raises MachineError where Nix does not know it.
    """
    from nixgen.check import closure
    from nixgen.check.digest import closure_digest
    from nixgen.nix.tools import Nix

    known = closure.noted(Nix().closure([path]).values())
    return known[closure.name_of(path)].nar_hash, closure_digest(known.values())


def machine() -> Machine:
    """This machine."""
    from nixgen.check.facts import builder

    seen = builder(())
    memory = 0
    with contextlib.suppress(OSError, ValueError):
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(_os(), seen.kernel, seen.cpu, seen.cores, memory, (*gpus(), *amd_gpus()))


def gpus(proc: Path = _NVIDIA) -> tuple[Gpu, ...]:
    """NVIDIA's GPUs with their driver, as Linux has them, else as nvidia-smi prints them."""
    driver = ""
    with contextlib.suppress(OSError):
        first = (proc / "version").read_text("utf-8", "replace").partition("\n")[0]
        driver = next(iter(re.findall(r"\s(\d+(?:\.\d+)+)\s", f"{first} ")), "")
    found = []
    for place in sorted(proc.glob("gpus/*/information")):
        with contextlib.suppress(OSError):
            for line in place.read_text("utf-8", "replace").splitlines():
                key, _, value = line.partition(":")
                if key == "Model":
                    found.append(Gpu(" ".join(value.split()), driver))
    if found or shutil.which("nvidia-smi") is None:
        return tuple(found)
    with contextlib.suppress(MachineError):
        printed = process.run(
            ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], timeout=_PATIENCE
        ).out
        rows = [line.rpartition(",") for line in printed.splitlines() if "," in line]
        found = [Gpu(gpu.strip(), version.strip()) for gpu, _, version in rows]
    return tuple(found)


def amd_gpus(system: Path = Path("/sys")) -> tuple[Gpu, ...]:
    """AMD's GPUs, as Linux has them; the driver's version is the kernel's where the kernel brings it."""
    driver = ""
    with contextlib.suppress(OSError):
        driver = (system / "module/amdgpu/version").read_text("utf-8", "replace").strip()
    found = []
    for place in sorted(system.glob("class/drm/card*/device")):
        with contextlib.suppress(OSError):
            if place.parent.name[4:].isdigit() and (place / "vendor").read_text().strip() == "0x1002":
                device = (place / "device").read_text().strip()
                name = ""
                with contextlib.suppress(OSError):
                    name = (place / "product_name").read_text("utf-8", "replace").strip()
                found.append(Gpu(name or f"AMD {device}", driver))
    return tuple(found)


def artifacts(lock: Lock, names: Sequence[str]) -> tuple[Mapping[str, Artifact], Mapping[str, Artifact]]:
    """The models and the data that a lock pins, by name; with ``names`` only these."""
    kinds: dict[str, dict[str, Artifact]] = {"models": {}, "data": {}}
    for one in lock.artifacts:
        if not names or one.name in names or one.key in names:
            kinds[one.kind][one.name] = Artifact(addresses.bare(one.source), one.exact, one.digest, one.data)
    return kinds["models"], kinds["data"]


def _is_report(path: Path) -> bool:
    """Whether ``nixgen report`` wrote a page there."""
    with contextlib.suppress(OSError):
        if path.suffix == ".html" and path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                return REPORT_MARK.encode() in file.read(_HEAD)
    return False


def _left_out(top: Path, path: str) -> str:
    """Why a new file is not in the diff, "" where it is."""
    if path.endswith("/"):
        return "a repository of its own"
    if "\ufffd" in path:
        return "its name is not UTF-8"
    with contextlib.suppress(OSError):
        if (size := (top / path).lstat().st_size) > LARGEST:
            return f"{shown_size(size)}, which git does not know"
    return ""


def _secret(top: Path, path: str) -> str:
    """Why a file that is not as it was committed may hold secrets, "" where none can be seen."""
    name = PurePosixPath(path).name.lower()
    if any(fnmatch(name, pattern) for pattern in _SECRET_FILES) and os.path.lexists(top / path):
        return "such a file may hold secrets"
    with contextlib.suppress(OSError):
        if not (top / path).is_symlink() and (keys := config.secrets(top / path)):
            return f"secrets in it: {', '.join(keys)}; keep them in variables"
    return ""


def _remote(state: State) -> str:
    """The address that a teammate may know the commit by: that of origin, else of the first remote there is."""
    names = sorted(state.remotes, key=lambda name: (name != "origin", name))
    return addresses.bare(state.remotes[names[0]]) if names else ""


def _store_path(venv: str) -> str:
    """The environment's path in the store. A venv over it has its site-packages first in its own list."""
    places = [venv]
    with contextlib.suppress(OSError):
        for lines in Path(venv).glob("lib/python3.*/site-packages/_nixgen.pth"):
            places += lines.read_text("utf-8", "replace").splitlines()[:1]
    return next((found[0] for place in places if (found := re.match(rf"{STORE}/[^/]+", place))), "")


def _python(venv: Path) -> str:
    with contextlib.suppress(OSError):
        for line in (venv / "pyvenv.cfg").read_text("utf-8", "replace").splitlines():
            key, _, value = line.partition("=")
            if key.strip() == "version_info":
                return value.strip()
    return ""


def _digests(path: str, root: Path) -> dict[str, str]:
    from nixgen.check import record
    from nixgen.check.facts import system

    nar_hash, digest = closure_of(path)
    found = {"nar_hash": nar_hash, "closure": digest}
    with contextlib.suppress(NixgenError):  # a record that cannot be read is for `nixgen check` to tell of
        recorded = record.read_record(root / record.NAME)
        here = recorded.systems.get(system()) if recorded is not None else None
        if here is not None and any(recipe.out == path for recipe in here.outputs.values()):
            found["recorded"] = here.digest
    return found


def _os() -> str:
    if name := host.os_release().get("PRETTY_NAME"):
        return name
    import platform

    return platform.platform(terse=True)
