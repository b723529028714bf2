"""Logs a run with MLflow's own client, in a process of its own: what it imports and raises stays there.

``python client.py``: a line of JSON on stdin says what to log; the run's id is printed as soon as there is one; after
another line its files are logged, too, and the run is ended. What goes wrong is the last line of stderr. A run that has
the tag ``nixgen.run`` already is completed, so that one may log again.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

VARIABLE = "MLFLOW_TRACKING_URI"
"""Says where MLflow is."""

NO_CLIENT = 4
"""The exit code where MLflow's client is not installed."""

RUN_TAG, RECORD_TAG = "nixgen.run", "nixgen.record"
_AT_ONCE = 100  # what one request takes


def main() -> int:
    """Does what stdin asks for; the exit code."""
    asked = json.loads(sys.stdin.readline())
    try:
        from mlflow import MlflowClient  # type: ignore[import-not-found]
    except ImportError as error:
        print(error, file=sys.stderr)  # noqa: T201 -- a program of its own
        return NO_CLIENT
    try:
        _log(MlflowClient(), asked)
    except Exception as error:  # noqa: BLE001 -- whatever the client raises is told, and is nixgen's to judge
        print(" ".join(str(error).split()) or type(error).__name__, file=sys.stderr)  # noqa: T201 -- the same
        return 1
    return 0


def _log(client: Any, asked: dict[str, Any]) -> None:  # noqa: ANN401 -- the client has no types where it is not installed
    from mlflow.entities import Metric, Param, RunTag  # type: ignore[import-not-found]

    experiment = _experiment(client, asked["experiment"])
    same = f"tags.`{RUN_TAG}` = '{asked['name']}'"
    found = client.search_runs([experiment], same, max_results=1)
    run = found[0] if found else client.create_run(
        experiment, start_time=asked["start"], tags={RUN_TAG: asked["name"]}, run_name=asked["name"]
    )  # fmt: skip
    identity = run.info.run_id
    for kind, made in (
        ("tags", [RunTag(key, value) for key, value in asked["tags"].items()]),
        ("params", [Param(key, value) for key, value in asked["params"].items()]),
        ("metrics", [Metric(key, value, asked["end"], 0) for key, value in asked["metrics"].items()]),
    ):
        for some in _some(made):
            client.log_batch(identity, **{kind: some})
    print(identity, flush=True)  # noqa: T201 -- the answer
    if not sys.stdin.readline():
        return
    with open(asked["record"], "rb") as record:  # noqa: PTH123 -- the standard library's least
        client.set_tag(identity, RECORD_TAG, hashlib.file_digest(record, "sha256").hexdigest())
    for place, folder in asked["files"]:
        client.log_artifact(identity, place, folder or None)
    client.set_terminated(identity, asked["status"], asked["end"])


def _experiment(client: Any, name: str) -> str:  # noqa: ANN401 -- the same
    if identity := os.environ.get("MLFLOW_EXPERIMENT_ID"):
        return identity
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or name
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found is not None else client.create_experiment(name))


def _some(values: list[Any]) -> Iterator[list[Any]]:
    for at in range(0, len(values), _AT_ONCE):
        yield values[at : at + _AT_ONCE]


if __name__ == "__main__":
    sys.exit(main())
