"""A run as an in-toto Statement with SLSA's provenance: which outputs, made how, of what, when.

Pure: values in, a JSON document out. The standards: https://in-toto.io/Statement/v1 and
https://slsa.dev/spec/v1.0/provenance. The document has texts, lists and tables alone: numbers in it would be floating
point ones where a signature is made of it (protobuf's Struct).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from nixgen.errors import UserError
from nixgen.machine import addresses
from nixgen.runs import recordfile
from nixgen.runs.model import DIFF, NAME, Artifact, Environment, Git, Run

TYPE = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "tag:nixgen,2026:run/v1"
"""What the keys below ``externalParameters`` and the digests mean: docs/runs.md, "A run as standards have it"."""
BUILDER = "tag:nixgen,2026:run"

_URI = r"[A-Za-z][A-Za-z0-9+.-]*:.+"
_SAFE = ":/?#[]@!$&'()*+,;=%~"  # RFC 3986: what has a meaning of its own, and what is escaped already


def statement(run: Run, record: str) -> dict[str, Any]:
    """The statement about a run; ``record`` is the SHA-256 of its run.yaml.

    Raises UserError for a run that is not finished, and for one without outputs: there is nothing to speak of.
    """
    if run.status != "finished":
        raise UserError.of(run.id, f"did not end well: it is {run.status}", "choose a run that is finished")
    if not run.outputs:
        raise UserError.of(run.id, "has no outputs to make a statement about", "record it with --output PATH")
    told = recordfile.values(run)
    definition = {
        "buildType": BUILD_TYPE,
        "externalParameters": _asked(run),
        "internalParameters": {"variables": dict(sorted(run.variables.items()))} if run.variables else {},
        "resolvedDependencies": list(_dependencies(run)),
    }
    details = {
        "builder": {"id": BUILDER, **({"version": {"nixgen": run.nixgen}} if run.nixgen else {})},
        "metadata": _some(invocationId=run.id, startedOn=told["started"], finishedOn=told.get("ended")),
        "byproducts": [{"name": NAME, "digest": {"sha256": record}}],
    }
    return {
        "_type": TYPE,
        "subject": [{"name": one.path, "digest": {"sha256": one.sha256}} for one in run.outputs],
        "predicateType": PREDICATE,
        "predicate": {"buildDefinition": _some(**definition), "runDetails": details},
    }


@dataclass(frozen=True, slots=True)
class Claim:
    """What a statement says: the outputs with their SHA-256, named from ``folder`` below the project, of which run."""

    outputs: Mapping[str, str]
    folder: str
    run: str


def parse(document: Mapping[str, Any], name: str) -> Claim:
    """What a statement about a run says; ``name`` is the file's. Raises UserError for one about something else."""
    try:
        definition, details = (document["predicate"][key] for key in ("buildDefinition", "runDetails"))
        found = {str(one["name"]): str(one["digest"]["sha256"]) for one in document["subject"]}
        claim = Claim(found, str(definition["externalParameters"]["folder"]), str(details["metadata"]["invocationId"]))
        if document["predicateType"] == PREDICATE and definition["buildType"] == BUILD_TYPE and found:
            return claim
    except (KeyError, TypeError, AttributeError):
        pass
    raise UserError.of(name, "is not about a run of nixgen", "make one: nixgen runs export --format in-toto")


def text(document: Mapping[str, Any]) -> str:
    """A statement as a file has it; equal runs give equal bytes."""
    return json.dumps(document, indent=2, ensure_ascii=False)


def _asked(run: Run) -> dict[str, Any]:
    seed = run.seeds.seed if run.seeds else None
    return _some(
        command=list(run.command),
        folder=run.folder,
        environment=run.environment.name if run.environment else "",
        config=[{"path": one.path, "digest": {"sha256": one.sha256}} for one in run.config],
        seed=None if seed is None else str(seed),
    )


def _dependencies(run: Run) -> Iterator[dict[str, Any]]:
    """What went into a run, each with a digest where the record has one."""
    if run.git:
        yield from _git(run.git)
    if run.environment and run.environment.path:
        yield _environment(run.environment)
    for name, sha256 in sorted((run.project.files if run.project else {}).items()):
        yield {"name": name, "digest": {"sha256": sha256}}
    for kind, artifacts in (("models", run.models), ("data", run.data)):
        for name, artifact in sorted(artifacts.items()):
            yield _artifact(f"{kind}.{name}", artifact)


def _git(git: Git) -> Iterator[dict[str, Any]]:
    if git.commit:
        yield _some(name="code", uri=repository(git), digest={"gitCommit": git.commit})
    if git.diff and git.sha256:
        yield {"name": DIFF, "digest": {"sha256": git.sha256}}


def repository(git: Git) -> str:
    """Git's remote as a URI, as SLSA has it: ``git+https://…@refs/heads/main``; "" where there is none."""
    remote = address(git.remote)
    scp = re.fullmatch(r"((?:[^@/:\s]+@)?[^@/:\s]{2,}):(?!/)(.+)", remote)
    if scp:
        remote = f"ssh://{scp[1]}/{scp[2]}"
    elif remote.startswith("/"):
        remote = f"file://{_quoted(remote)}"
    if not re.fullmatch(_URI, remote):
        return ""
    return f"git+{remote}" + (f"@refs/heads/{_quoted(git.branch)}" if git.branch else "")


def address(text: str) -> str:
    """A URI without what it must not carry, and with what it cannot have escaped; any other text as it is."""
    return addresses.bare(_quoted(text) if re.fullmatch(_URI, text) else text)


def _environment(environment: Environment) -> dict[str, Any]:
    """``sha256`` is the NAR hash in hexadecimal, ``nixClosure`` the digest over all that the path refers to."""
    nar = environment.nar_hash.removeprefix("sha256-")
    digest = _some(sha256=base64.b64decode(nar).hex(), nixClosure=environment.closure.removeprefix("sha256:"))
    more = _some(system=environment.system, base=environment.base, python=environment.python)
    return _some(name="environment", uri=f"path:{environment.path}", digest=digest, annotations=more)


def _artifact(name: str, artifact: Artifact) -> dict[str, Any]:
    """``sha256`` stands for all files, as in nixgen.hashes.json."""
    source = address(artifact.source)
    commit = artifact.revision if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", artifact.revision) else ""
    uri = source if re.fullmatch(_URI, source) else ""
    more = _some(source="" if uri else source, revision="" if commit else artifact.revision)
    return _some(name=name, uri=uri, digest=_some(sha256=artifact.sha256, gitCommit=commit), annotations=more)


def _quoted(text: str) -> str:
    return quote(text, safe=_SAFE)


def _some(**values: Any) -> dict[str, Any]:  # noqa: ANN401 -- any JSON value
    """What there is something of."""
    return {key: value for key, value in values.items() if value not in (None, "", [], {})}
