"""bundle.json, the first entry of a bundle: what else is in it, each with its hash. Its SHA-256 is the bundle's digest.

Pure: texts in, frozen values out. Parsing is closed, and a document in another form than :func:`dump`'s is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nixgen.bases.model import Base, NixpkgsBase
from nixgen.check import closure
from nixgen.check.compare import in_order
from nixgen.check.model import ClosurePath
from nixgen.errors import MachineError, Problem, UserError
from nixgen.formats.strictjson import Table, document
from nixgen.nix import nar

VERSION = 1
NAME, STATEMENT, LOG = "bundle.json", "statement.json", "log.json"
PROJECT, STORE = "project/", "nix/store/"
"""Where in the tar the project's files and the store's paths lie."""
KEEPS = ".nixgen-bundle"
"""How the links begin that `nixgen bundle open` makes in the project, which keep its environments from collection."""

SOURCE = f"{KEEPS}_nixpkgs"
"""The one that keeps the source of nixpkgs."""

_MEND = "get the file again, from who made it"
_SHA256 = r"[0-9a-f]{64}"
_SRI = r"sha256-[A-Za-z0-9+/]{43}="
_STORE_NAME = r"[0-9a-df-np-sv-z]{32}-[A-Za-z0-9+._?=-]{1,211}"
_LABEL = re.compile(r"[A-Za-z0-9]?[A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class File:
    """A file of the project, or, with a ``target``, a link; sizes are bytes."""

    size: int = 0
    sha256: str = ""
    executable: bool = False
    target: str = ""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle holds: files by their path in the project, store paths by name, setups by environment ("").

    A setup is the name of a store path, what a shell sources. ``missing`` are names of paths that the others refer to
    and that were left out: models. ``start`` is the SHA-256 of the start script, ``log`` of the proofs, "" without any.
    """

    project: str
    system: str
    environments: Mapping[str, str]
    files: Mapping[str, File]
    paths: Mapping[str, ClosurePath]
    missing: tuple[str, ...] = ()
    start: str = ""
    log: str = ""

    @property
    def order(self) -> list[str]:
        """The names of the paths as they follow one another: each behind all that it refers to."""
        return in_order(self.paths)

    @property
    def size(self) -> int:
        """Bytes of all that is in it."""
        return sum(path.nar_size for path in self.paths.values()) + sum(file.size for file in self.files.values())


def evaluated(base: Base) -> str:
    """The name of the store path that Nix evaluates beside the project's files: nixpkgs' source; "" where none is."""
    return closure.name_of(nar.source_path(base.nar_hash)) if isinstance(base, NixpkgsBase) else ""


def digest(data: bytes) -> str:
    """The digest of a bundle, from the bytes of its bundle.json."""
    return hashlib.sha256(data).hexdigest()


def dump(bundle: Bundle) -> bytes:
    """The bytes of bundle.json."""
    files = {
        path: {"link": file.target}
        if file.target
        else {"executable": file.executable, "sha256": file.sha256, "size": file.size}
        for path, file in bundle.files.items()
    }
    paths = {
        name: {"narHash": path.nar_hash, "narSize": path.nar_size, "references": list(path.references)}
        for name, path in bundle.paths.items()
    }
    whole = {
        "version": VERSION,
        "project": bundle.project,
        "system": bundle.system,
        "environments": dict(bundle.environments),
        "files": files,
        "paths": paths,
        "missing": list(bundle.missing),
        "start": bundle.start,
        "log": bundle.log,
    }
    return json.dumps(whole, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def parse(data: bytes, name: str) -> Bundle:
    """What bundle.json says; ``name`` is the bundle's, for problems. Raises UserError, MachineError for a newer one."""
    where, problems = f"{name}: {NAME}", list[Problem]()
    found = document(data.decode("utf-8", "replace"), where, "a bundle", _MEND)
    version = found.get("version") if isinstance(found, dict) else None
    if isinstance(version, int) and version > VERSION:
        what = f"is of version {version}: a newer nixgen wrote it, and this one knows {VERSION}"
        raise MachineError.of(where, what, "update nixgen")
    top = Table(found, where, "", problems, _MEND)
    top.closed("version", "project", "system", "environments", "files", "paths", "missing", "start", "log")
    top.integer("version")
    labels, files, paths = top.table("environments"), top.table("files"), top.table("paths")
    bundle = Bundle(
        project=top.text("project", r"[A-Za-z0-9][A-Za-z0-9._-]*"),
        system=top.text("system", r"[a-z0-9_]+-[a-z0-9]+"),
        environments={label: labels.text(label, _STORE_NAME) for label in sorted(labels.keys())},
        files={path: _file(files, path) for path in sorted(files.keys())},
        paths={key: _path(paths, key) for key in sorted(paths.keys())},
        missing=top.texts("missing", _STORE_NAME),
        start=top.text("start", _SHA256),
        log=top.text("log", f"({_SHA256})?"),
    )
    for label, setup in bundle.environments.items():
        if not _LABEL.fullmatch(label) or setup not in bundle.paths:
            labels.problem(label, "is no environment of which the bundle has the paths")
    known = {*bundle.paths, *bundle.missing}
    for key, one in bundle.paths.items():
        if lost := [name for name in one.references if name not in known]:
            paths.problem(key, f"refers to {lost[0]}, which is not in the bundle")
    folders = {above for path in bundle.files for above in _above(path)}
    for path in sorted(folders & bundle.files.keys()):
        files.problem(path, "is both a file and a folder")
    if not problems and dump(bundle) != data:
        problems.append(Problem(where, "is not in the form that nixgen writes", _MEND))
    if problems:
        raise UserError(dict.fromkeys(problems))
    return bundle


def inside(path: str, target: str) -> bool:
    """Whether a link at ``path`` of the project leads to a place of the project.

    No ".." stands behind a name: that could be a link, too, and then it would lead elsewhere than it says.
    """
    parts, named = path.split("/")[:-1], False
    if target.startswith("/"):
        return False
    for part in target.split("/"):
        if part == "..":
            if named or not parts:
                return False
            parts.pop()
        elif part not in {"", "."}:
            named = True
            parts.append(part)
    return not any(part.lower() == ".git" for part in parts)


def fault(path: str) -> str:
    """What is wrong with the path of a file of a project; "" for nothing."""
    parts = path.split("/")
    if any(part in {"", ".", ".."} for part in parts) or "\0" in path:
        return "leads out of the project"
    if any(part.lower() == ".git" for part in parts):
        return "is git's own"
    return "is no file of a project: nixgen bundle open makes it itself" if path.startswith(KEEPS) else ""


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _file(files: Table, path: str) -> File:
    entry = files.table(path)
    if wrong := fault(path):
        files.problem(path, wrong)
    if "link" in entry:
        entry.closed("link")
        target = entry.text("link", r"[^\0]+")
        if not inside(path, target):
            files.problem(path, "is a link that leads out of the project")
        return File(target=target)
    entry.closed("executable", "sha256", "size")
    return File(entry.integer("size"), entry.text("sha256", _SHA256), entry.flag("executable"))


def _path(paths: Table, name: str) -> ClosurePath:
    entry = paths.table(name)
    entry.closed("narHash", "narSize", "references")
    if not re.fullmatch(_STORE_NAME, name):
        paths.problem(name, "is not the name of a store path")
    references = entry.texts("references", _STORE_NAME)
    return ClosurePath(name, entry.text("narHash", _SRI), entry.integer("narSize"), references)


def statement(bundle: Bundle, found: str, closure: str) -> dict[str, Any]:
    """The in-toto Statement about a bundle with the digest ``found``. It has no numbers: a signature has them else."""
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": f"{bundle.project}.nixgen", "digest": {"sha256": found}}],
        "predicateType": "tag:nixgen,2026:bundle/v1",
        "predicate": {"project": bundle.project, "system": bundle.system, "closure": closure},
    }
