"""Records of reproductions, ``runs/ID/reproductions/<id>.yaml``: reading and writing them. The format's version is 1.

Under ``made`` is the record of the run that was to be as the one beside it, in the form of run.yaml.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from nixgen.errors import MachineError, Problem, UserError
from nixgen.formats import yamltext
from nixgen.formats.strictjson import Table
from nixgen.machine import files
from nixgen.runs import recordfile
from nixgen.runs.diff import Difference
from nixgen.runs.model import NAME, Run
from nixgen.runs.verdict import VERDICTS, Verdict

FOLDER = "reproductions"
VERSION = 1
_MEND = "restore it with git, or remove it"
_SHA256 = r"[0-9a-f]{64}"


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What running a run again came to. ``record`` is the SHA-256 of the run.yaml that it was compared with.

    ``made`` is the run that was made, with its time, environment and machine.
    """

    run: str
    record: str
    verdict: Verdict
    made: Run
    differences: tuple[Difference, ...] = ()
    tolerance: Mapping[str, float] = field(default_factory=dict)


def digest(folder: Path) -> str:
    """What stands for the record in a run's folder."""
    return hashlib.sha256(files.contents(folder / NAME)).hexdigest()


def write(folder: Path, found: Reproduction) -> Path:
    """Writes it beside its run; where."""
    name = f"{found.made.id}.yaml"
    files.write_all(folder, {f"{FOLDER}/{name}": dump(found)})
    return folder / FOLDER / name


def reproductions(folder: Path) -> list[Reproduction]:
    """Those of the run in a folder, the earliest first. Raises UserError for what cannot be read as one."""
    place = folder / FOLDER
    names = sorted(path for path in place.glob("*.yaml")) if place.is_dir() else []
    return [parse(_text(path), f"{folder.name}/{FOLDER}/{path.name}") for path in names]


def best(found: Iterable[Reproduction], record: str) -> str:
    """The best verdict of those that were compared with this record: "bytes", "metrics", or "" for none."""
    held = {one.verdict for one in found if one.record == record} - {"differs"}
    return next((verdict for verdict in VERDICTS if verdict in held), "")


def dump(found: Reproduction) -> bytes:
    """The file's bytes."""
    values = {
        "version": VERSION,
        "run": found.run,
        "record": found.record,
        "verdict": found.verdict,
        **({"tolerance": dict(sorted(found.tolerance.items()))} if found.tolerance else {}),
        "differences": [
            {"kind": one.kind, "name": one.name, "old": one.old, "new": one.new} for one in found.differences
        ],
        "made": recordfile.values(found.made),
    }
    return yamltext.dumps(values).encode()


def parse(text: str, name: str) -> Reproduction:
    """The reproduction of a record's text. Raises UserError, and MachineError where a newer nixgen wrote it."""
    problems: list[Problem] = []
    try:
        value = yamltext.loads(text)
    except yamltext.YamlError as error:
        raise UserError.of(name, f"is not YAML: {error}", _MEND) from None
    version = value.get("version", VERSION) if isinstance(value, dict) else VERSION
    if isinstance(version, int) and version > VERSION:
        what = f"is {version}: a newer nixgen wrote it, and this one knows {VERSION}"
        raise MachineError.of(f"{name}: version", what, "update nixgen, as the others of the project did")
    top = Table({} if value is None else value, name, "", problems, _MEND)
    top.closed("version", "run", "record", "verdict", "tolerance", "differences", "made")
    top.integer("version")
    tolerance = top.table("tolerance") if "tolerance" in top else None
    differences = []
    for entry in top.tables("differences"):
        entry.closed("kind", "name", "old", "new")
        differences.append(Difference(*(entry.text(key) for key in ("kind", "name", "old", "new"))))
    run, record = top.text("run", recordfile.ID), top.text("record", _SHA256)
    verdict = cast("Verdict", top.choice("verdict", VERDICTS))
    numbers = {key: tolerance.number(key) for key in tolerance.keys()} if tolerance is not None else {}  # noqa: SIM118 -- a table is no mapping
    top.table("made")
    if problems:
        raise UserError(dict.fromkeys(problems))
    made = recordfile.parse(yamltext.dumps(value["made"]), f"{name}: made")
    return Reproduction(run, record, verdict, made, tuple(differences), numbers)


def _text(path: Path) -> str:
    try:
        return files.contents(path).decode()
    except UnicodeDecodeError as error:
        raise UserError.of(path.name, f"is not UTF-8 text (byte {error.start})", _MEND) from None
    except OSError as error:
        raise files.unreadable(path.name, error) from None
