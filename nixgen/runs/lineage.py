"""``nixgen runs diff``: reads what two runs have beside their records, has it compared, and renders what differs."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nixgen.artifacts.model import PinnedArtifact
from nixgen.console import table
from nixgen.data import render
from nixgen.data.diff import DataDiff
from nixgen.errors import NixgenError, UserError
from nixgen.formats import foreign, toml, yamltext
from nixgen.lock import lockfile
from nixgen.machine import files, process
from nixgen.models.datadiff import diff_pinned, pinned
from nixgen.project.project import Project, find_project
from nixgen.runs import diff
from nixgen.runs.diff import Known, Lineage
from nixgen.runs.finding import Found
from nixgen.runs.model import Run

JSON_VERSION = 1
_LONGEST = 60  # characters of a value in a table


def compare(root: Path, old: Found, new: Found) -> Lineage:
    """What differs between two runs, of the project ``root``: packages and data by what git and the project have."""
    known = [Known(configurations(one), _packages(root, one.run)) for one in (old, new)]
    return diff.diff(old.run, new.run, known[0], known[1], _data(root, old.run, new.run))


def as_text(found: Lineage) -> str:
    """Tables, as a terminal shows them."""
    if not found.differences:
        return f"{found.old.id} and {found.new.id}: nothing differs"
    lines = table(list(_rows(found)), indent="")
    for name, inside in found.data.items():
        lines += ["", f"data {name}", render.as_text(inside)]
    if found.unexplained:
        lines += ["", "results differ, and no recorded input does"]
    return "\n".join(lines)


def as_json(found: Lineage) -> str:
    """One object; of metrics the difference, too, where it is a number."""
    document = {
        "version": JSON_VERSION,
        "old": found.old.id,
        "new": found.new.id,
        "equal": not found.differences,
        "unexplained": found.unexplained,
        "differences": [_difference(found, one) for one in found.differences],
        "data": {name: json.loads(render.as_json(inside)) for name, inside in found.data.items()},
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)


def _difference(found: Lineage, one: diff.Difference) -> dict[str, Any]:
    values: dict[str, Any] = {"kind": one.kind, "name": one.name, "old": one.old, "new": one.new}
    if one.kind == "metrics":
        values["difference"] = diff.change(found.old.metrics.get(one.name), found.new.metrics.get(one.name))
    return values


def _rows(found: Lineage) -> Iterator[tuple[str, str, str, str, str]]:
    yield "", "", found.old.id, found.new.id, ""
    before = ""
    for one in found.differences:
        change = ""
        if one.kind == "metrics":
            value = diff.change(found.old.metrics.get(one.name), found.new.metrics.get(one.name))
            change = f"{value:+.6g}" if value is not None else ""
        yield one.kind if one.kind != before else "", one.name, _short(one.old), _short(one.new), change
        before = one.kind


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def configurations(found: Found) -> dict[str, Mapping[str, str]]:
    """Keys and values of the copies of configurations that can be read, by their paths."""
    known: dict[str, Mapping[str, str]] = {}
    for one in found.run.config:
        if place := found.beside(one.copy):
            with contextlib.suppress(OSError, ValueError, RecursionError):
                text = files.contents(place).decode()
                known[one.path] = dict(diff.flat(_value(text, one.path)))
    return known


def _value(text: str, name: str) -> Any:  # noqa: ANN401 -- any plain value
    if name.lower().endswith(".json"):
        return json.loads(text)
    return toml.loads(text) if name.lower().endswith(".toml") else yamltext.loads(text)


def _packages(root: Path, run: Run) -> dict[str, str] | None:
    """Versions by name, of the uv.lock that the run had; None where it is not here."""
    text = _file(root, run, "uv.lock")
    if text is None:
        return None
    with contextlib.suppress(UnicodeDecodeError, toml.TomlError):
        found: dict[str, list[str]] = {}
        for package in foreign.lookup(toml.loads(text.decode()), "package") or ():
            if isinstance(package, dict) and isinstance(name := package.get("name"), str):
                found.setdefault(name, []).append(str(package.get("version", "")))
        return {name: ", ".join(sorted(versions)) for name, versions in found.items()}
    return None


def _file(root: Path, run: Run, name: str) -> bytes | None:
    """A file of the project as the run had it: as it is now, or as git has it."""
    wanted = run.project.files.get(name) if run.project is not None else None
    if not wanted or run.project is None:
        return None
    with contextlib.suppress(OSError):
        data = files.contents(root / name)
        if hashlib.sha256(data).hexdigest() == wanted:
            return data
    if run.git is None or not run.git.commit:
        return None
    below = "" if run.project.path == "." else f"{run.project.path}/"
    with contextlib.suppress(NixgenError):
        shown = process.run(["git", "show", f"{run.git.commit}:{below}{name}"], cwd=root, check=False)
        data = shown.out.encode()
        if shown.code == 0 and hashlib.sha256(data).hexdigest() == wanted:
            return data
    return None


def _data(root: Path, old: Run, new: Run) -> dict[str, DataDiff]:
    """What differs inside of the datasets that both have, where both are at hand."""
    found: dict[str, DataDiff] = {}
    project: Project | None = None
    for name, now in new.data.items():
        was = old.data.get(name)
        if was is None or was.sha256 == now.sha256:
            continue
        with contextlib.suppress(NixgenError):
            project = project or find_project(root, lock=False)
            found[name] = data(project, old, new, name)
    return found


def data(project: Project, old: Run, new: Run, name: str) -> DataDiff:
    """What differs inside of a dataset that both runs had. Raises UserError where that cannot be told."""
    (first, before), (second, after) = (_pinned(project, run, name) for run in (old, new))
    return diff_pinned(first, second, (before, after), project)


def _pinned(project: Project, run: Run, name: str) -> tuple[PinnedArtifact, str]:
    """A run's dataset, and what it is called: by nixgen.lock as it is, or as the run's commit has it."""
    commit = run.git.commit if run.git is not None else ""
    for revision in dict.fromkeys(("", commit)):
        with contextlib.suppress(NixgenError):
            found = pinned(name, revision, project)
            if found.digest == run.data[name].sha256:
                return found, f"{name}@{revision}" if revision else name
    what = f"neither {lockfile.NAME} nor the commit of run {run.id} pins it as that had it"
    raise UserError.of(name, what, f"commit {lockfile.NAME} before a run")
