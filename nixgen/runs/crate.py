"""A run as a Process Run Crate: what ro-crate-metadata.json says of it.

Pure: values in, a JSON-LD document out. The standards: https://w3id.org/ro/crate/1.1 and
https://w3id.org/ro/wfrun/process/0.5. Its terms "sha256" and "environment" are defined in place, so that a reader needs
one context, which every library of RO-Crate has with it.
"""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from nixgen.runs.model import DIFF, NAME, STDERR, STDOUT, Artifact, Run
from nixgen.runs.statement import address

METADATA = "ro-crate-metadata.json"
SPECIFICATION = "https://w3id.org/ro/crate/1.1"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
OUTPUTS = "outputs"
NO_LICENCE = "Not stated. Ask who made this crate how it may be used."

_TERMS = "https://w3id.org/ro/terms/workflow-run#"
_RUN, _CODE, _ENVIRONMENT = "#run", "#code", "#environment"
_KINDS = {".json": "application/json", ".yaml": "application/yaml", ".yml": "application/yaml", ".txt": "text/plain",
          ".csv": "text/csv", ".toml": "application/toml", ".patch": "text/x-diff", ".html": "text/html",
          ".png": "image/png", ".svg": "image/svg+xml", ".pdf": "application/pdf"}  # fmt: skip
_WHAT = {NAME: "The record of the run, as nixgen wrote it", STDOUT: "What the command printed",
         STDERR: "What the command printed to stderr", DIFF: "The changes that were not committed"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class File:
    """A file of the crate, by its path there: its size and SHA-256; ``name`` is what the record calls it."""

    path: str
    size: int
    sha256: str
    name: str = ""


def document(run: Run, files: Iterable[File], licence: str = "") -> dict[str, Any]:
    """The crate's metadata. ``licence`` is an SPDX expression, an address or a sentence.

    ``files`` are all that the crate has: the outputs, below :data:`OUTPUTS`, and what lies beside the record, as it is
    called there.
    """
    parts = {file.path: _file(file) for file in files}
    inputs = [*_configurations(run, parts), *_inputs(run)]
    if run.git and run.git.diff:
        absent = _value(f"#{_id(run.git.diff)}", run.git.diff, f"sha256:{run.git.sha256}")
        inputs.append(parts.get(run.git.diff, absent))
    results = [entity for path, entity in parts.items() if path.startswith(f"{OUTPUTS}/")]
    metrics = [_value(f"#metric-{_id(name)}", name, value) for name, value in sorted(run.metrics.items())]
    variables = {**run.variables, **(run.seeds.variables if run.seeds else {})}
    environment = [_value(f"#variable-{_id(name)}", name, value) for name, value in sorted(variables.items())]
    command, title = shlex.join(run.command), _title(run)
    action: dict[str, Any] = {
        "@id": _RUN,
        "@type": "CreateAction",
        "name": title,
        "description": command,
        "identifier": run.id,
        "startTime": _time(run.started),
        **({"endTime": _time(run.ended)} if run.ended else {}),
        "actionStatus": f"http://schema.org/{'Completed' if run.status == 'finished' else 'Failed'}ActionStatus",
        **({} if run.status == "finished" else {"error": f"{run.status}, exit code {run.exit}"}),
        "instrument": {"@id": _CODE},
        "object": _references(inputs),
        "result": _references([*results, *metrics]),
        **({"environment": _references(environment)} if environment else {}),
    }
    root = {
        "@id": "./",
        "@type": "Dataset",
        "conformsTo": {"@id": PROFILE},
        "name": title,
        "description": f"What `{command}` was run with, and what came out.",
        "datePublished": _time(run.ended or run.started),
        "license": {"@id": place} if (place := _licence(licence)) else licence or NO_LICENCE,
        "hasPart": _references(parts.values()),
        "mentions": {"@id": _RUN},
    }
    profile = {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    described = {
        "@id": METADATA,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": {"@id": SPECIFICATION},
    }
    terms = [{"@id": place, "@type": "CreativeWork", "name": licence, "description": licence}] if place else []
    entities: list[dict[str, Any]] = [
        described,
        root,
        profile,
        *terms,
        action,
        *_software(run),
        *parts.values(),
        *inputs,
        *metrics,
        *environment,
    ]
    return {
        "@context": [f"{SPECIFICATION}/context", {name: f"{_TERMS}{name}" for name in ("sha256", "environment")}],
        "@graph": list({entity["@id"]: entity for entity in entities}.values()),
    }


def _licence(text: str) -> str:
    """The address of a licence: that of SPDX, where it is one identifier of theirs; "" for other texts."""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    if text.startswith(("https://", "http://")):
        return quote(text, safe=":/?#[]@!$&'()*+,;=%~")
    try:
        known = canonicalize_license_expression(text)
    except InvalidLicenseExpression:
        return ""
    return f"https://spdx.org/licenses/{known}" if re.fullmatch(r"(?!LicenseRef-)[\w.+-]+", known) else ""


def _title(run: Run) -> str:
    return f"Run {run.id}" + (f" of {run.project.name}" if run.project and run.project.name else "")


def _software(run: Run) -> Iterator[dict[str, Any]]:
    """The code that ran, at its commit, and the environment that it ran in."""
    git, environment = run.git, run.environment
    remote = address(git.remote) if git else ""
    yield {
        "@id": _CODE,
        "@type": ["SoftwareSourceCode", "SoftwareApplication"],
        "name": (run.project.name if run.project else "") or run.command[0],
        **({"version": git.commit} if git and git.commit else {}),
        **({"codeRepository": remote, "url": remote} if remote.startswith(("https://", "http://")) else {}),
        **({"softwareRequirements": {"@id": _ENVIRONMENT}} if environment and environment.path else {}),
    }
    if environment and environment.path:
        known = {"narHash": environment.nar_hash, "closure": environment.closure}
        yield {
            "@id": _ENVIRONMENT,
            "@type": "SoftwareApplication",
            "name": f"Python {environment.python}".strip(),
            "description": "; ".join(f"{name} {value}" for name, value in known.items() if value),
            "identifier": environment.path,
            "softwareVersion": environment.closure or environment.nar_hash or environment.path,
            **({"operatingSystem": environment.system} if environment.system else {}),
        }


def _configurations(run: Run, parts: Mapping[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The copies of configurations; of one without a copy, its hash."""
    for one in run.config:
        if one.copy in parts:
            masked = f"; masked in this copy: {', '.join(one.masked)}" if one.masked else ""
            yield parts[one.copy] | {"description": f"SHA-256 of the original: {one.sha256}{masked}"}
        else:
            yield _value(f"#config-{_id(one.path)}", one.path, f"sha256:{one.sha256}")


def _inputs(run: Run) -> Iterator[dict[str, Any]]:
    for name, artifact in sorted(run.models.items()):
        yield _artifact(f"models.{name}", artifact)
    for name, artifact in sorted(run.data.items()):
        yield _artifact(f"data.{name}", artifact)
    if run.seeds and run.seeds.seed is not None:
        yield _value("#seed", "seed", run.seeds.seed)


def _artifact(name: str, artifact: Artifact) -> dict[str, Any]:
    source = address(artifact.source)
    return {
        "@id": f"#{_id(name)}",
        "@type": "CreativeWork",
        "name": name,
        "description": f"{source}; the hash stands for all files, as in nixgen.hashes.json",
        **({"sha256": artifact.sha256} if artifact.sha256 else {}),
        **({"version": artifact.revision} if artifact.revision else {}),
        **({"url": source} if source.startswith(("https://", "http://")) else {}),
    }


def _value(place: str, name: str, value: float | str) -> dict[str, Any]:
    """JSON has no infinities and no NaN (RFC 8259, 6): they are texts."""
    shown = str(value) if isinstance(value, float) and not math.isfinite(value) else value
    return {"@id": place, "@type": "PropertyValue", "name": name, "value": shown}


def _file(file: File) -> dict[str, Any]:
    kind = _KINDS.get(PurePosixPath(file.path).suffix.lower())
    if file.path in {STDOUT, STDERR}:
        kind = "text/plain"
    return {
        "@id": _id(file.path),
        "@type": "File",
        "name": file.name or file.path,
        **({"description": _WHAT[file.path]} if file.path in _WHAT else {}),
        "contentSize": str(file.size),
        "sha256": file.sha256,
        "encodingFormat": kind or "application/octet-stream",
    }


def _references(entities: Any) -> list[dict[str, str]]:  # noqa: ANN401 -- any iterable of entities
    return [{"@id": entity["@id"]} for entity in entities]


def _id(path: str) -> str:
    """A path as RFC 3986 has it in a reference; nothing in it is taken for a scheme."""
    return quote(os.fsencode(path), safe="/")


def _time(moment: datetime) -> str:
    """ISO 8601, with three digits and an offset, as the profile's validator wants it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
