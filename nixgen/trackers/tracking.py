"""Recorded runs in MLflow, where MLFLOW_TRACKING_URI says where that is: digests as tags, files as artifacts.

The record is whole before the tracker is asked, and stays so whatever becomes of that.
"""

from __future__ import annotations

import contextlib
import json
import os
import posixpath
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from nixgen.console import console
from nixgen.errors import MachineError, NixgenError, UserError
from nixgen.machine import addresses, extras, files, process
from nixgen.runs import outputs, recordfile
from nixgen.runs.finding import Found
from nixgen.runs.lineage import configurations
from nixgen.runs.model import NAME, STDERR, STDOUT, Run, Tracker
from nixgen.trackers import client
from nixgen.trackers.client import VARIABLE

_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # of its own accord it tries for minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
    "GIT_PYTHON_REFRESH": "quiet",
}
_STATUS = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
_NAME, _PARAM, _TAG = 250, 6000, 5000  # characters that MLflow takes
_TAGGED = 100  # outputs that have a tag each
_STRANGE = re.compile(r"[^\w.\- :/]")


def log_recorded(root: Path, folder: Path) -> None:
    """Logs the run that was just recorded, and notes that in its record. Raises nothing."""
    try:
        run = recordfile.read(folder)
        noted = lambda tracker: files.write_all(folder, {NAME: recordfile.dump(replace(run, tracker=tracker))})  # noqa: E731 -- what to do with it
        tracker = _logged(root, Found(folder, run), noted)
        console.info(f"logged as {tracker.kind} run {tracker.run} at {tracker.uri}")
    except (NixgenError, OSError) as error:
        why = error.problems[0].what if isinstance(error, NixgenError) else error.strerror or str(error)
        _not_logged(folder, why)
    except KeyboardInterrupt:
        _not_logged(folder, "interrupted")


def log(root: Path, found: Found) -> Tracker:
    """Logs a run that was recorded earlier. Its record stays as it is. Raises UserError and MachineError."""
    if not os.environ.get(VARIABLE):
        raise UserError.of(VARIABLE, "is not set: no tracker to log to", f"{VARIABLE}=https://… nixgen runs log RUN")
    if found.run.status not in _STATUS:
        raise UserError.of(found.run.id, f"did not end: it is {found.run.status}", "log it when it has ended")
    return _logged(root, found, lambda _tracker: None)


def _not_logged(folder: Path, why: str) -> None:
    console.warn(f"the run is recorded, and not logged in MLflow: {why}\n  log it later: nixgen runs log {folder.name}")


def _logged(root: Path, found: Found, noted: Callable[[Tracker], object]) -> Tracker:
    """Logs a run; ``noted`` is called before its files are logged, so that the record among them is the last one."""
    uri = os.environ[VARIABLE]
    command = [sys.executable, "-P", client.__file__]
    console.detail(f"$ {process.shown(command)}")
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": {**_DEFAULTS, **os.environ}}
    with tempfile.TemporaryFile() as told, subprocess.Popen(command, text=True, stderr=told, **pipes) as running:
        assert running.stdin is not None  # noqa: S101 -- pipes
        assert running.stdout is not None  # noqa: S101 -- the same
        try:
            running.stdin.write(json.dumps(_asked(root, found)) + "\n")
            running.stdin.flush()
            identity = running.stdout.readline().strip()
            tracker = Tracker("mlflow", addresses.bare(uri), identity)
            if identity:
                noted(tracker)
            running.communicate("\n" if identity else None)
        except BrokenPipeError:
            identity = ""  # it ended before it was asked
            with contextlib.suppress(BrokenPipeError):
                running.stdin.close()
        except BaseException:
            process.end(running)
            raise
        running.wait()
        told.seek(0)
        err = told.read().decode("utf-8", "replace")
    if running.returncode == client.NO_CLIENT:
        raise MachineError.of("", f"{VARIABLE} is set, and MLflow's client is not installed", extras.install("mlflow"))
    if running.returncode or not identity:
        said = (err.strip().splitlines() or [f"its client ended with {running.returncode}"])[-1]
        raise MachineError.of(addresses.bare(uri), addresses.blotted(said.replace(uri, addresses.bare(uri))))
    return tracker


def _asked(root: Path, found: Found) -> dict[str, Any]:
    """What the client is asked to log (``client.py``)."""
    run = found.run
    start = int(run.started.timestamp() * 1000)
    return {
        "experiment": run.project.name if run.project is not None and run.project.name else "Default",
        "name": run.id,
        "start": start,
        "end": int(run.ended.timestamp() * 1000) if run.ended is not None else start,
        "status": _STATUS[run.status],
        "tags": {_key(name): value[:_TAG] for name, value in _tags(run) if value},
        "params": {_key(name): value[:_PARAM] for name, value in _params(found)},
        "metrics": {_key(name): value for name, value in run.metrics.items()},
        "record": str(found.folder / NAME),
        "files": list(_files(root, found)),
    }


def _tags(run: Run) -> Iterator[tuple[str, str]]:
    """What it was run with, by digests; git under the names that MLflow itself uses."""
    yield "nixgen.command", process.shown(run.command)
    if (git := run.git) is not None:
        yield "mlflow.source.git.commit", git.commit
        yield "mlflow.source.git.branch", git.branch
        yield "mlflow.source.git.repoURL", git.remote
        yield "nixgen.dirty", str(git.dirty).lower()
        yield "nixgen.diff", git.sha256
    if run.project is not None:
        yield from ((f"nixgen.file.{name}", sha256) for name, sha256 in run.project.files.items())
    if (made := run.environment) is not None:
        yield "nixgen.environment", made.path
        yield "nixgen.narHash", made.nar_hash
        yield "nixgen.closure", made.closure
    for kind, artifacts in (("model", run.models), ("data", run.data)):
        yield from ((f"nixgen.{kind}.{name}", one.sha256) for name, one in artifacts.items())
    yield from ((f"nixgen.config.{one.path}", one.sha256) for one in run.config)
    yield from ((f"nixgen.output.{one.path}", one.sha256) for one in run.outputs[:_TAGGED])


def _params(found: Found) -> Iterator[tuple[str, str]]:
    """The keys of configurations, as their copies have them; a key of two with the file's name; and the seed."""
    known: set[str] = set()
    for path, values in configurations(found).items():
        for key, value in values.items():
            yield (f"{path}:{key}" if key in known else key), value
        known.update(values)
    seed = found.run.seeds.seed if found.run.seeds is not None else None
    if seed is not None:
        yield ("nixgen.seed" if "seed" in known else "seed"), str(seed)


def _files(root: Path, found: Found) -> Iterator[tuple[str, str]]:
    """Each file of the run, and the folder of artifacts for it; of outputs those that still are what was recorded."""
    run = found.run
    kept = [one.copy for one in run.config if one.copy]
    for name in (NAME, STDOUT, STDERR, *([run.git.diff] if run.git is not None and run.git.diff else []), *kept):
        if place := found.beside(name):
            yield str(place), posixpath.dirname(name)
    places = {root / run.folder / one.path: one for one in run.outputs}
    now, _ = outputs.hashed(places)  # files alone: whose record it is might have named a folder of everything
    for output, one in places.items():
        if output in now and now[output].sha256 == one.sha256:
            folder = posixpath.dirname(posixpath.normpath(f"/{one.path}")).strip("/")
            yield str(output), posixpath.join("outputs", folder) if folder else "outputs"
        else:
            console.warn(f"not logged, because it is not any more what the run made: {one.path}")


def _key(name: str) -> str:
    """A name that MLflow takes: no path that leads elsewhere, and few signs."""
    clean = _STRANGE.sub("_", name)[:_NAME]
    if posixpath.normpath(clean) != clean or clean.startswith(("/", "..")):
        clean = clean.replace("/", "_").strip(".") or "_"
    return clean
