"""nixgen.hashes.json: reading, writing and merging it. The format's version is 1.

Parsing is closed: a key that is not known, twice there or of the wrong shape is an error with the path to it, and all
errors are told at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nixgen.check.digest import closure_digest
from nixgen.check.model import (
    ArtifactInput,
    BaseInput,
    Builder,
    ClosurePath,
    Inputs,
    Recipe,
    Record,
    SystemRecord,
    WheelInput,
)
from nixgen.console import console
from nixgen.errors import MachineError, Problem, UserError
from nixgen.formats.strictjson import Table, document
from nixgen.machine import files

VERSION = 1
NAME = "nixgen.hashes.json"
_ALWAYS = ("nixgen.lock",)  # the others count where they ask for something
_UPDATE = "nixgen check --update"

_SHA256 = r"[0-9a-f]{64}"
_SRI = r"sha256-[A-Za-z0-9+/]{43}="
_STORE_NAME = r"[0-9abcdfghijklmnpqrsvwxyz]{32}-[A-Za-z0-9+._?=-]{1,211}"
_STORE_PATH = rf"/nix/store/{_STORE_NAME}"
_SYSTEM = re.compile(r"[a-z0-9_]+-[a-z0-9]+")
_LINE = r"[^\x00-\x1f\x7f]+"


def read_record(path: Path, shown: str = "", again: str = _UPDATE) -> Record | None:
    """The record in this file, None where there is none; ``shown`` is its name in problems, ``again`` what writes it.

    Raises as :func:`parse_record` does, and MachineError when it cannot be read.
    """
    shown = shown or path.name
    try:
        data = files.contents(path)
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        raise UserError.of(shown, "is a folder, not a file", "move it elsewhere") from None
    except OSError as error:
        raise files.unreadable(shown, error) from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError.of(shown, f"is not UTF-8 text (byte {error.start})", _mend(again)) from None
    return parse_record(text, shown, again)


def _mend(again: str) -> str:
    return f"restore it with git, or delete it and write it anew: {again}"


def parse_record(text: str, name: str = NAME, again: str = _UPDATE) -> Record:
    """The record that this text is. ``name`` is the file's, for problems.

    Raises MachineError for the record of a newer nixgen, UserError with all that is wrong with it otherwise.
    """
    problems: list[Problem] = []
    found = document(text, name, "a record", _mend(again))
    version = found.get("version", VERSION) if isinstance(found, dict) else VERSION
    if isinstance(version, int) and version > VERSION:
        what = f"is {version}: a newer nixgen wrote it, and this one knows {VERSION}"
        raise MachineError.of(f"{name}: version", what, "update nixgen, as the others of the project did")
    top = Table(found, name, "", problems, _mend(again))
    top.closed("version", "project", "systems")
    if top.integer("version") != VERSION and not problems:
        top.problem("version", f"is {json.dumps(version)}, and this nixgen knows {VERSION}")
    project = top.text("project", _LINE)
    table = top.table("systems")
    systems = {}
    for system in sorted(table.keys()):
        if not _SYSTEM.fullmatch(system):
            table.problem(system, "is not a system; they are named like x86_64-linux")
        systems[system] = _system(table.table(system))
    if problems:
        raise UserError(dict.fromkeys(problems))
    return Record(project, systems)


def dump_record(record: Record) -> str:
    """The file's text: JSON with sorted keys, a line for each wheel, output and closure path, a newline at the end."""
    systems = {name: _dump_system(entry) for name, entry in record.systems.items()}
    return _layout({"version": VERSION, "project": record.project, "systems": systems}, "") + "\n"


def merged(old: Record | None, project: str, system: str, found: SystemRecord) -> Record:
    """``old`` with this system replaced. Where nothing but the builder is another, it stays as it was."""
    systems = dict(old.systems) if old is not None else {}
    before = systems.get(system)
    if before is None or replace(before, builder=found.builder) != found:
        systems[system] = found
    return Record(project, dict(sorted(systems.items())))


def update(path: Path, project: str, system: str, found: SystemRecord, *, alone: bool = False) -> bool:
    """Writes the system into the record at ``path``, the other systems as they are at this moment.

    All or nothing, and one process at a time. With ``alone`` whatever is there is replaced. Whether it changed the
    file. Raises as :func:`read_record` does, and MachineError for a full disk or a folder that cannot be written.
    """
    folder = path.absolute().parent
    if not folder.is_dir():
        raise UserError.of(str(folder), "is not a folder", "make it first")
    with files.exclusive(folder, console.info):
        old = None if alone else read_record(path)
        text = dump_record(merged(old, project, system, found))
        return bool(files.write_all(folder, {path.name: text.encode()}))


def _system(table: Table) -> SystemRecord:
    table.closed("digest", "inputs", "outputs", "closure", "builder", "images")
    closure = _closure(table.table("closure"))
    outputs = {}
    listed = table.table("outputs")
    for name in sorted(listed.keys()):
        entry = listed.table(name)
        entry.closed("drvPath", "outPath")
        outputs[name] = Recipe(entry.text("drvPath", _STORE_PATH + r"\.drv"), entry.text("outPath", _STORE_PATH))
    if "root" not in outputs:
        if "outputs" in table:
            listed.problem("root", "is missing")
    elif closure and outputs["root"].out.rpartition("/")[2] not in closure:
        listed.problem("root", "has a path that is not in the closure")
    if "closure" in table and not closure:
        table.problem("closure", "is empty")
    digest = table.text("digest", f"sha256:{_SHA256}")
    if digest and closure and digest != closure_digest(closure.values()):
        table.problem("digest", "is not that of the closure: the file was edited, or merged by hand")
    return SystemRecord(
        digest=digest,
        inputs=_inputs(table.table("inputs")),
        outputs=outputs,
        closure=closure,
        builder=_builder(table.table("builder")),
        images=_images(table.table("images")) if "images" in table else {},
    )


def _images(table: Table) -> dict[str, str]:
    return {name: table.text(name, f"sha256:{_SHA256}") for name in sorted(table.keys())}


def _closure(table: Table) -> dict[str, ClosurePath]:
    found = {}
    for name in sorted(table.keys()):
        if not re.fullmatch(_STORE_NAME, name):
            table.problem(name, "is not the name of a store path")
        entry = table.table(name)
        entry.closed("narHash", "narSize", "references")
        found[name] = ClosurePath(
            name=name,
            nar_hash=entry.text("narHash", _SRI),
            nar_size=entry.integer("narSize"),
            references=tuple(sorted(entry.texts("references", _STORE_NAME))),
        )
    for name, path in found.items():
        for reference in path.references:
            if reference not in found:
                table.problem(name, f"refers to {reference}, which is not in the closure")
    return found


def _inputs(table: Table) -> Inputs:
    # Where a version stands, say, a file has any name.
    files = sorted(set(table.keys()) - {"library", "project", "base", "wheels", "artifacts"})
    base = table.table("base")
    base.closed("kind", "name", "python", "digest", "packages")
    packages = base.table("packages") if "packages" in base else None
    wheels, artifacts = table.table("wheels"), table.table("artifacts")
    return Inputs(
        files={name: table.text(name, _SHA256) for name in sorted({*files, *_ALWAYS})},
        library=table.text("library", _SRI),
        project=table.text("project", _SHA256),
        base=BaseInput(
            kind=base.choice("kind", ("debian", "nixpkgs")),
            name=base.text("name", _LINE),
            python=base.text("python", r"[0-9]+\.[0-9]+"),
            digest=base.text("digest", f"{_SHA256}|{_SRI}"),
            packages={name: _only(packages.table(name), "version") for name in sorted(packages.keys())}
            if packages is not None
            else {},
        ),
        wheels={name: _wheel(wheels.table(name)) for name in sorted(wheels.keys())},
        artifacts={name: _artifact(artifacts.table(name)) for name in sorted(artifacts.keys())},
    )


def _only(entry: Table, key: str) -> str:
    entry.closed(key)
    return entry.text(key, _LINE)


def _wheel(entry: Table) -> WheelInput:
    entry.closed("version", "file", "sha256")
    return WheelInput(entry.text("version", _LINE), entry.text("file", _LINE), entry.text("sha256", _SHA256))


def _artifact(entry: Table) -> ArtifactInput:
    entry.closed("commit", "digest")
    commit = entry.text("commit", _LINE) if "commit" in entry else None
    return ArtifactInput(commit, entry.text("digest", _SHA256))


def _builder(entry: Table) -> Builder:
    entry.closed("nix", "kernel", "cpu", "cores")
    return Builder(
        nix=entry.text("nix", _LINE),
        kernel=entry.text("kernel", _LINE),
        cpu=entry.text("cpu", _LINE),
        cores=entry.integer("cores"),
    )


def _dump_system(entry: SystemRecord) -> dict[str, Any]:
    inputs = entry.inputs
    base: dict[str, Any] = {"kind": inputs.base.kind, "name": inputs.base.name, "python": inputs.base.python}
    base["digest"] = inputs.base.digest
    if inputs.base.packages:
        base["packages"] = {name: {"version": version} for name, version in inputs.base.packages.items()}
    wheels = {
        name: {"version": wheel.version, "file": wheel.file, "sha256": wheel.sha256}
        for name, wheel in inputs.wheels.items()
    }
    artifacts = {
        name: {"digest": artifact.digest} | ({} if artifact.commit is None else {"commit": artifact.commit})
        for name, artifact in inputs.artifacts.items()
    }
    builder = entry.builder
    return {
        **({"images": dict(entry.images)} if entry.images else {}),
        "digest": entry.digest,
        "inputs": {
            **inputs.files,
            "library": inputs.library,
            "project": inputs.project,
            "base": base,
            "wheels": wheels,
            "artifacts": artifacts,
        },
        "outputs": {name: {"drvPath": one.drv, "outPath": one.out} for name, one in entry.outputs.items()},
        "closure": {
            path.name: {"narHash": path.nar_hash, "narSize": path.nar_size, "references": sorted(path.references)}
            for path in entry.closure.values()
        },
        "builder": {"nix": builder.nix, "kernel": builder.kernel, "cpu": builder.cpu, "cores": builder.cores},
    }


def _layout(value: Any, indent: str) -> str:  # noqa: ANN401 -- any JSON value
    """JSON with sorted keys in which an object without objects stands on one line, other objects a key a line."""
    inner = indent + "  "
    if isinstance(value, Mapping) and any(isinstance(item, Mapping) for item in value.values()):
        items = [f"{inner}{_scalar(key)}: {_layout(value[key], inner)}" for key in sorted(value)]
        return "{\n" + ",\n".join(items) + f"\n{indent}}}"
    return _scalar(value)


def _scalar(value: Any) -> str:  # noqa: ANN401 -- the same
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
