"""What lies beside a published model's files: its metrics, the record of its run, and the data it was made from."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from nixgen.errors import UserError
from nixgen.formats import yamltext
from nixgen.runs import recordfile
from nixgen.runs.model import Run

RUN = "run.json"


def documents(run: Run) -> dict[str, bytes]:
    """File name → bytes, of a run. JSON has no infinities and no NaN (RFC 8259, 6): they are null."""
    values = recordfile.values(run)
    found = {RUN: values, "metrics.json": values.get("metrics", {})}
    if data := values.get("data"):
        found["data_manifest.json"] = data
    return {name: _json(value) for name, value in found.items()}


def published_run(document: Mapping[str, Any], name: str) -> Run:
    """The run of a version's run.json; ``name`` is the version's. Raises UserError for what is none."""
    try:
        values = dict(document)
        values["metrics"] = {key: value for key, value in values.get("metrics", {}).items() if value is not None}
        text = yamltext.dumps(values)
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise UserError.of(f"{name}: {RUN}", "is no record of a run", "see: nixgen registry verify") from None
    return recordfile.parse(text, f"{name}: {RUN}")


def _json(value: Any) -> bytes:  # noqa: ANN401 -- any value of a record
    return json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _finite(value: Any) -> Any:  # noqa: ANN401 -- the same
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
