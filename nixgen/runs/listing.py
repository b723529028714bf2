"""What ``nixgen runs list`` and ``nixgen runs show`` print."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from nixgen.console import size, table
from nixgen.formats import yamltext
from nixgen.machine import process
from nixgen.runs import recordfile
from nixgen.runs.model import Artifact, Run

_SHOWN = 10  # outputs of a run
_METRICS = 3  # in a line of the list
_COMMIT = 12
_GROUP = 12  # digits of a hash
_MINUTE = 60


def lines(runs: Sequence[Run], width: int | None) -> list[str]:
    """A line for each run, the latest first."""
    rows = [("ID", "STATUS", "TOOK", "COMMIT", "METRICS", "COMMAND")]
    for run in reversed(runs):
        some = [f"{name}={number(value)}" for name, value in list(run.metrics.items())[:_METRICS]]
        more = [f"+{len(run.metrics) - _METRICS}"] if len(run.metrics) > _METRICS else []
        status = f"failed ({run.exit})" if run.status == "failed" else run.status
        rows.append(
            (run.id, status, took(run.seconds), _commit(run), " ".join([*some, *more]), process.shown(run.command))
        )
    return table(rows, indent="", width=width)


def whole(run: Run) -> list[str]:
    """All of a run, for people."""
    return table(list(_rows(run)), indent="")


def as_json(runs: Iterable[Run] | Run) -> str:
    """The same as JSON, with the keys of run.yaml; what is not a number is a text."""
    found: Any = _plain(runs) if isinstance(runs, Run) else [_plain(run) for run in runs]
    return json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False)


def number(value: float) -> str:
    """A metric as people read it: six digits."""
    return str(value) if type(value) is int else f"{value:.6g}"


def took(seconds: float | None) -> str:
    """How long something took: "0.8 s", "12 min", "3.5 h"."""
    if seconds is None:
        return ""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    return f"{seconds / _MINUTE:.0f} min" if seconds < _MINUTE * _MINUTE else f"{seconds / _MINUTE / _MINUTE:.1f} h"


def _rows(run: Run) -> Iterator[tuple[str, str]]:
    end = "" if run.exit is None else f" with exit code {run.exit}"
    yield "run", run.id
    yield "status", f"{run.status}{end}{f' after {took(run.seconds)}' if run.seconds is not None else ''}"
    yield "command", process.shown(run.command)
    yield "folder", run.folder
    yield "started", f"{run.started:%Y-%m-%d %H:%M:%S} UTC"
    if (git := run.git) is not None:
        where = [git.commit or "no commit", f"on {git.branch}" if git.branch else "on no branch"]
        changes = f", with changes ({git.diff})" if git.dirty else ""
        yield "code", f"{' '.join(where)}{changes}"
        yield from (("remote", address) for address in [git.remote] if address)
    if (made := run.environment) is not None:
        python = f", Python {made.python}" if made.python else ""
        yield "environment", f"{f'{made.name}: ' if made.name else ''}{made.base}, {made.system}{python}"
        yield from (("", text) for text in (made.path, made.closure and f"closure {made.closure}") if text)
    if (machine := run.machine) is not None:
        yield (
            "machine",
            f"{machine.os}, {machine.kernel}, {machine.cpu} ({machine.cores} cores), {size(machine.memory)}",
        )
        yield from (("", f"{gpu.name}, driver {gpu.driver}") for gpu in machine.gpus)
    yield from _several("models", (_artifact(name, one) for name, one in run.models.items()))
    yield from _several("data", (_artifact(name, one) for name, one in run.data.items()))
    masked = {one.path: f", without {', '.join(one.masked)}" if one.masked else "" for one in run.config}
    yield from _several("config", (f"{one.path} {one.sha256[:_GROUP]}{masked[one.path]}" for one in run.config))
    if (seeds := run.seeds) is not None:
        libraries = f": {', '.join(seeds.libraries)}" if seeds.libraries else ""
        kind = ", deterministic algorithms" if seeds.deterministic else ""
        yield "seed", f"{seeds.seed if seeds.seed is not None else 'none'}{libraries}{kind}"
        yield from (("", f"not deterministic: {what}") for what in seeds.nondeterministic)
    yield from _several("variables", (f"{name}={value}" for name, value in run.variables.items()))
    yield from _several("metrics", (f"{name} {number(value)}" for name, value in run.metrics.items()))
    shown = [f"{one.path} {size(one.size)} {one.sha256[:_GROUP]}" for one in run.outputs[:_SHOWN]]
    more = [f"and {len(run.outputs) - _SHOWN} more"] if len(run.outputs) > _SHOWN else []
    yield from _several("outputs", [*shown, *more])
    if run.tracker is not None:
        yield "tracker", f"{run.tracker.kind} {run.tracker.uri} {run.tracker.run}"
    yield from _several("missing", run.missing)


def _several(name: str, values: Iterable[str]) -> Iterator[tuple[str, str]]:
    for value in values:
        yield name, value
        name = ""


def _artifact(name: str, one: Artifact) -> str:
    rows = one.manifest.record_count if one.manifest is not None else None
    counted = f", {rows} rows" if rows is not None else ""
    return f"{name} {one.source}{f' {one.revision[:_COMMIT]}' if one.revision else ''} {one.sha256[:_GROUP]}{counted}"


def _commit(run: Run) -> str:
    if run.git is None:
        return ""
    return run.git.commit[:_COMMIT] + ("+" if run.git.dirty else "")


def _plain(run: Run) -> Any:  # noqa: ANN401 -- any JSON value
    return _finite(yamltext.loads(recordfile.dump(run).decode()))


def _finite(value: Any) -> Any:  # noqa: ANN401 -- the same
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
