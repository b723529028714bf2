"""run.yaml: reading and writing it. The format's version is 1.

Parsing is closed: a key that is not known, twice there or of the wrong shape is an error with the path to it, and all
errors are told at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, cast

from nixgen.artifacts import pins
from nixgen.errors import MachineError, Problem, UserError
from nixgen.formats import yamltext
from nixgen.formats.strictjson import Table
from nixgen.machine import files
from nixgen.runs.model import (
    CONFIG,
    DIFF,
    NAME,
    STATUSES,
    Artifact,
    Asked,
    ConfigFile,
    Environment,
    Git,
    Gpu,
    Machine,
    Output,
    ProjectFiles,
    Run,
    Seeds,
    Status,
    Tracker,
)

VERSION = 1
ID = r"[0-9]{8}-[0-9]{6}-[0-9a-f]{6}"
"""What an id looks like: the start in UTC, and six digits by chance."""

_MEND = "restore it with git, or remove the run's folder"
_SHA256 = r"[0-9a-f]{64}"
_SRI = r"sha256-[A-Za-z0-9+/]{43}="
_DIGEST = rf"sha256:{_SHA256}"
_COMMIT = r"[0-9a-f]{40}|[0-9a-f]{64}"
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"
_PATH = r"[^\x00]*"
_COPY = rf"{CONFIG}/(?:(?!\.\.(?:/|\Z))[^/\x00]+(?:/|\Z))+(?<!/)"
"""Below a run's folder: a record may be of somebody else, and what it names is shown, copied and logged."""

_T = TypeVar("_T")


def read(folder: Path) -> Run:
    """The record in a run's folder.

    Raises UserError where there is none, or with all that is wrong with it, and MachineError where it cannot be read or
    a newer nixgen wrote it.
    """
    shown = f"{folder.name}/{NAME}"
    try:
        text = files.contents(folder / NAME).decode()
    except (FileNotFoundError, NotADirectoryError):
        raise UserError.of(
            shown, "is not there: the folder holds no run", "see what there is: nixgen runs list"
        ) from None
    except UnicodeDecodeError as error:
        raise UserError.of(shown, f"is not UTF-8 text (byte {error.start})", _MEND) from None
    except OSError as error:
        raise files.unreadable(shown, error) from None
    return parse(text, shown)


def parse(text: str, name: str = NAME) -> Run:
    """The run of a record's text. ``name`` is the file's, for problems; it raises as :func:`read` does."""
    problems: list[Problem] = []
    try:
        found = yamltext.loads(text, named=True)
    except yamltext.YamlError as error:
        raise UserError.of(name, f"is not YAML: {error}", _MEND) from None
    version = found.get("version", VERSION) if isinstance(found, dict) else VERSION
    if isinstance(version, int) and version > VERSION:
        what = f"is {version}: a newer nixgen wrote it, and this one knows {VERSION}"
        raise MachineError.of(f"{name}: version", what, "update nixgen, as the others of the project did")
    top = Table({} if found is None else found, name, "", problems, _MEND)
    top.closed("version", *_KEYS)
    if top.integer("version") != VERSION and not problems:
        top.problem("version", f"is {json.dumps(version, default=str)}, and this nixgen knows {VERSION}")
    run = _run(top)
    if problems:
        raise UserError(dict.fromkeys(problems))
    return run


def dump(run: Run) -> bytes:
    """The file's bytes: YAML in the order of docs/runs.md, without what there is nothing of."""
    return yamltext.dumps(values(run)).encode()


def values(run: Run) -> dict[str, Any]:
    """The record as texts, numbers, lists and tables, in the file's order."""
    given = {
        "version": VERSION,
        "id": run.id,
        "status": run.status,
        "command": list(run.command),
        "folder": run.folder,
        "started": _said(run.started),
        "ended": run.ended and _said(run.ended),
        "seconds": run.seconds,
        "exit": run.exit,
        "git": run.git and _dump_git(run.git),
        "project": run.project and _dump_project(run.project),
        "environment": run.environment and _dump_environment(run.environment),
        "machine": run.machine and _dump_machine(run.machine),
        "models": {name: _dump_artifact(one) for name, one in sorted(run.models.items())},
        "data": {name: _dump_artifact(one) for name, one in sorted(run.data.items())},
        "config": [_given(path=c.path, sha256=c.sha256, copy=c.copy, masked=list(c.masked)) for c in run.config],
        "asked": run.asked and _given(metrics=run.asked.metrics, outputs=list(run.asked.outputs)),
        "seeds": run.seeds and _dump_seeds(run.seeds),
        "variables": dict(sorted(run.variables.items())),
        "metrics": dict(sorted(run.metrics.items())),
        "outputs": [{"path": one.path, "size": one.size, "sha256": one.sha256} for one in run.outputs],
        "tracker": run.tracker and {"kind": run.tracker.kind, "uri": run.tracker.uri, "run": run.tracker.run},
        "missing": list(run.missing),
        "nixgen": run.nixgen,
    }
    return _given(**given)


_KEYS = (
    *("id", "status", "command", "folder", "started", "ended", "seconds", "exit", "git", "project", "environment"),
    *(
        "machine",
        "models",
        "data",
        "config",
        "asked",
        "seeds",
        "variables",
        "metrics",
        "outputs",
        "tracker",
        "missing",
        "nixgen",
    ),
)


def _run(top: Table) -> Run:
    return Run(
        id=top.text("id", ID),
        status=cast("Status", top.choice("status", STATUSES)),
        command=_command(top),
        started=_time(top, "started") or datetime.min.replace(tzinfo=UTC),
        folder=_text(top, "folder", _PATH) or ".",
        ended=_optional(top, "ended", lambda: _time(top, "ended")),
        seconds=_optional(top, "seconds", lambda: top.number("seconds")),
        exit=_optional(top, "exit", lambda: top.integer("exit")),
        git=_part(top, "git", _git),
        project=_part(top, "project", _project),
        environment=_part(top, "environment", _environment),
        machine=_part(top, "machine", _machine),
        models=_named(top, "models", _artifact),
        data=_named(top, "data", _artifact),
        config=tuple(_config(entry) for entry in _tables(top, "config")),
        asked=_part(top, "asked", _asked),
        seeds=_part(top, "seeds", _seeds),
        variables=_texts(top, "variables"),
        metrics=_part(top, "metrics", lambda table: {name: table.number(name) for name in table.keys()}) or {},  # noqa: SIM118 -- a table is no mapping
        outputs=tuple(_output(entry) for entry in _tables(top, "outputs")),
        tracker=_part(top, "tracker", _tracker),
        missing=_list(top, "missing"),
        nixgen=_text(top, "nixgen"),
    )


def _command(top: Table) -> tuple[str, ...]:
    words = top.texts("command")
    if not words and not top.problems:
        top.problem("command", "has no words")
    return words


def _git(table: Table) -> Git:
    table.closed("commit", "branch", "remote", "dirty", "diff", "sha256")
    return Git(
        commit=_text(table, "commit", _COMMIT),
        branch=_text(table, "branch"),
        remote=_text(table, "remote"),
        dirty=table.flag("dirty"),
        diff=_text(table, "diff", re.escape(DIFF)),
        sha256=_text(table, "sha256", _SHA256),
    )


def _dump_git(git: Git) -> dict[str, Any]:
    values = _given(commit=git.commit, branch=git.branch, remote=git.remote)
    return {**values, "dirty": git.dirty, **_given(diff=git.diff, sha256=git.sha256)}


def _project(table: Table) -> ProjectFiles:
    table.closed("name", "path", "files")
    return ProjectFiles(_text(table, "name"), table.text("path", _PATH), _texts(table, "files", _SHA256))


def _dump_project(project: ProjectFiles) -> dict[str, Any]:
    return _given(name=project.name, path=project.path, files=dict(sorted(project.files.items())))


def _environment(table: Table) -> Environment:
    table.closed("name", "system", "base", "path", "narHash", "closure", "recorded", "python")
    return Environment(
        name=_text(table, "name"),
        system=_text(table, "system"),
        base=_text(table, "base"),
        path=_text(table, "path"),
        nar_hash=_text(table, "narHash", _SRI),
        closure=_text(table, "closure", _DIGEST),
        recorded=_text(table, "recorded", _DIGEST),
        python=_text(table, "python"),
    )


def _dump_environment(environment: Environment) -> dict[str, Any]:
    e = environment
    known = _given(
        system=e.system, base=e.base, path=e.path, narHash=e.nar_hash, closure=e.closure, recorded=e.recorded
    )
    return {"name": e.name, **known, **_given(python=e.python)}


def _machine(table: Table) -> Machine:
    table.closed("os", "kernel", "cpu", "cores", "memory", "gpus")
    gpus = []
    for entry in _tables(table, "gpus"):
        entry.closed("name", "driver")
        gpus.append(Gpu(entry.text("name"), _text(entry, "driver")))
    return Machine(
        os=_text(table, "os"),
        kernel=_text(table, "kernel"),
        cpu=_text(table, "cpu"),
        cores=_optional(table, "cores", lambda: table.integer("cores")) or 0,
        memory=_optional(table, "memory", lambda: table.integer("memory")) or 0,
        gpus=tuple(gpus),
    )


def _dump_machine(machine: Machine) -> dict[str, Any]:
    gpus = [_given(name=one.name, driver=one.driver) for one in machine.gpus]
    m = machine
    return _given(os=m.os, kernel=m.kernel, cpu=m.cpu, cores=m.cores or None, memory=m.memory or None, gpus=gpus)


def _artifact(table: Table) -> Artifact:
    table.closed("source", "revision", "sha256", "manifest")
    return Artifact(
        source=table.text("source"),
        revision=_text(table, "revision"),
        sha256=_text(table, "sha256", _SHA256),
        manifest=_part(table, "manifest", pins.parse_manifest),
    )


def _dump_artifact(artifact: Artifact) -> dict[str, Any]:
    manifest = artifact.manifest and pins.dump_manifest(artifact.manifest)
    return _given(source=artifact.source, revision=artifact.revision, sha256=artifact.sha256, manifest=manifest)


def _config(table: Table) -> ConfigFile:
    table.closed("path", "sha256", "copy", "masked")
    return ConfigFile(
        table.text("path"), table.text("sha256", _SHA256), _text(table, "copy", _COPY), _list(table, "masked")
    )


def _asked(table: Table) -> Asked:
    table.closed("metrics", "outputs")
    return Asked(_text(table, "metrics"), _list(table, "outputs"))


def _seeds(table: Table) -> Seeds:
    table.closed("seed", "variables", "libraries", "deterministic", "nondeterministic")
    return Seeds(
        seed=_optional(table, "seed", lambda: table.integer("seed")),
        variables=_texts(table, "variables"),
        libraries=_texts(table, "libraries"),
        deterministic=table.flag("deterministic"),
        nondeterministic=_list(table, "nondeterministic"),
    )


def _dump_seeds(seeds: Seeds) -> dict[str, Any]:
    set_ = _given(seed=seeds.seed, variables=dict(seeds.variables), libraries=dict(sorted(seeds.libraries.items())))
    return {**set_, "deterministic": seeds.deterministic, **_given(nondeterministic=list(seeds.nondeterministic))}


def _output(table: Table) -> Output:
    table.closed("path", "size", "sha256")
    return Output(table.text("path", _PATH), table.integer("size"), table.text("sha256", _SHA256))


def _tracker(table: Table) -> Tracker:
    table.closed("kind", "uri", "run")
    return Tracker(table.text("kind"), table.text("uri"), table.text("run"))


def _said(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _time(table: Table, key: str) -> datetime | None:
    text = table.text(key, _TIME)
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        table.problem(key, f'is "{text}", which is no time')
        return None


def _given(**values: Any) -> dict[str, Any]:  # noqa: ANN401 -- any YAML value
    """What there is something of: zero and false are something."""
    return {key: value for key, value in values.items() if value is not None and value not in ("", [], {})}


def _optional(table: Table, key: str, getter: Callable[[], _T]) -> _T | None:
    return getter() if key in table else None


def _text(table: Table, key: str, pattern: str = "") -> str:
    return table.text(key, pattern) if key in table else ""


def _list(table: Table, key: str) -> tuple[str, ...]:
    return table.texts(key) if key in table else ()


def _tables(table: Table, key: str) -> Iterable[Table]:
    return table.tables(key) if key in table else ()


def _part(table: Table, key: str, read: Callable[[Table], _T]) -> _T | None:
    return read(table.table(key)) if key in table else None


def _texts(table: Table, key: str, pattern: str = "") -> Mapping[str, str]:
    return _named(table, key, None, pattern)


def _named(table: Table, key: str, read: Callable[[Table], _T] | None, pattern: str = "") -> Mapping[str, Any]:
    if key not in table:
        return {}
    inner = table.table(key)
    return {name: inner.text(name, pattern) if read is None else read(inner.table(name)) for name in inner.keys()}  # noqa: SIM118 -- a table is no mapping
