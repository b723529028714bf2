"""A run's statement: what it says, as in-toto's own library and SLSA's own schema read it; signed, and checked."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from exported import FILES, keys, project, sha256
from support.program import nixgen

from nixgen.runs import statement
from nixgen.runs.finding import Found
from nixgen.runs.model import Artifact, Environment, Git, Output, Run

signing = pytest.mark.skipif(find_spec("model_signing") is None, reason="needs the extra sign")
RECORD = "cd" * 32


@pytest.fixture
def found(tmp_path: Path) -> Found:
    return project(tmp_path / "project")


def export(found: Found, *words: str, code: int = 0, **environment: str) -> str:
    root = found.folder.parent.parent
    done = nixgen("runs", "export", found.run.id, "--project", str(root), *words, cwd=root, **environment)
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


def verify(found: Found, *words: str, code: int = 0) -> str:
    root = found.folder.parent.parent
    done = nixgen("runs", "verify", *words, cwd=root)
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


def standard(document: dict[str, Any]) -> None:
    """What in-toto's and SLSA's own definitions say of a document: every key is known, and has its type."""
    pytest.importorskip("in_toto_attestation")
    from google.protobuf import json_format
    from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
    from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
    from in_toto_attestation.v1.statement import Statement

    read = Statement([], "", {})
    json_format.ParseDict(document, read.pb)
    read.validate()
    provenance = json_format.ParseDict(document["predicate"], provenance_pb2.Provenance())  # type: ignore[attr-defined, unused-ignore]
    for descriptor in [*provenance.build_definition.resolved_dependencies, *provenance.run_details.byproducts]:
        ResourceDescriptor.copy_from_pb(descriptor).validate()
    assert json_format.MessageToDict(read.pb) == document, "and nothing is another thing afterwards"


def dependencies(run: Run) -> dict[str, Any]:
    found = statement.statement(run, RECORD)["predicate"]["buildDefinition"]["resolvedDependencies"]
    return {one["name"]: one for one in found}


def test_what_it_says(found: Found) -> None:
    document = statement.statement(found.run, RECORD)
    standard(document)
    assert document["subject"] == [{"name": name, "digest": {"sha256": sha256(data)}} for name, data in FILES.items()]
    asked = document["predicate"]["buildDefinition"]["externalParameters"]
    assert asked["command"] == list(found.run.command)
    assert (asked["folder"], asked["environment"], asked["seed"]) == ("sub folder", "gpu", "0")
    assert [one["path"] for one in asked["config"]] == ["conf/a b.yaml", "x"]
    details = document["predicate"]["runDetails"]
    assert details["metadata"] == {
        "invocationId": found.run.id,
        "startedOn": "2026-11-30T13:15:00.123456Z",
        "finishedOn": "2026-11-30T13:16:00.123456Z",
    }
    assert details["byproducts"] == [{"name": "run.yaml", "digest": {"sha256": RECORD}}]
    known = dependencies(found.run)
    assert list(known) == ["code", "diff.patch", "environment", "nixgen.lock", "uv.lock", "models.minilm", "data.d"]
    assert known["code"] == {
        "name": "code",
        "uri": "git+https://git.example.org/a.git@refs/heads/main",
        "digest": {"gitCommit": "1" * 40},
    }
    assert known["environment"]["uri"] == f"path:/nix/store/{'a' * 32}-demo-environment"
    assert known["environment"]["digest"] == {"sha256": "00" * 32, "nixClosure": "ab" * 32}
    assert known["models.minilm"]["digest"] == {"sha256": "ab" * 32, "gitCommit": "2" * 40}


def test_a_small_record(found: Found) -> None:
    small = Run(found.run.id, "finished", ("true",), found.run.started, outputs=(Output("a", 0, "00" * 32),))
    document = statement.statement(small, RECORD)
    standard(document)
    assert document["predicate"]["buildDefinition"]["externalParameters"] == {"command": ["true"], "folder": "."}


@pytest.mark.parametrize(
    ("remote", "uri"),
    [
        ("https://ann:secret@git.example.org/a.git", "git+https://git.example.org/a.git@refs/heads/main"),
        ("https://git.example.org/a.git?token=secret", "git+https://git.example.org/a.git@refs/heads/main"),
        ("git@git.example.org:team/a.git", "git+ssh://git@git.example.org/team/a.git@refs/heads/main"),
        ("ssh://git:secret@git.example.org/a", "git+ssh://git@git.example.org/a@refs/heads/main"),
        ("/srv/git/ein Projekt", "git+file:///srv/git/ein%20Projekt@refs/heads/main"),
        ("../beside", None),
        ("", None),
    ],
)
def test_the_repository(found: Found, remote: str, uri: str | None) -> None:
    run = replace(found.run, git=Git("1" * 40, "main", remote))
    assert dependencies(run)["code"].get("uri") == uri
    standard(statement.statement(run, RECORD))
    assert "secret" not in statement.text(statement.statement(run, RECORD))


def test_sources_without_a_commit_or_an_address(found: Found) -> None:
    models = {
        "a": Artifact("https://ann:secret@models.example.org/a b?X-Amz-Signature=secret", "v1", "11" * 32),
        "b": Artifact("./models/b", "", "22" * 32),
    }
    run = replace(found.run, models=models, environment=Environment(path="/nix/store/x"))
    known = dependencies(run)
    assert known["models.a"]["uri"] == "https://models.example.org/a%20b"
    assert known["models.a"]["annotations"] == {"revision": "v1"}
    assert known["models.b"] == {
        "name": "models.b",
        "digest": {"sha256": "22" * 32},
        "annotations": {"source": "./models/b"},
    }
    standard(statement.statement(run, RECORD))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"status": "running"}, "did not end well: it is running"),
        ({"status": "failed", "exit": 1}, "did not end well: it is failed"),
        ({"outputs": ()}, "has no outputs to make a statement about"),
    ],
)
def test_runs_that_no_statement_is_about(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    assert said in export(project(tmp_path / "project", **changes), code=2)


def test_a_damaged_record(found: Found) -> None:
    (found.folder / "run.yaml").write_text("version: 1\nid: [\n")
    assert "run.yaml: is not YAML" in export(found, code=2)


def test_it_is_printed_or_written(found: Found, tmp_path: Path) -> None:
    printed = export(found)
    export(found, "--out", str(tmp_path / "provenance.json"))
    assert (tmp_path / "provenance.json").read_text() == printed
    standard(json.loads(printed))
    record = sha256((found.folder / "run.yaml").read_bytes())
    assert json.loads(printed)["predicate"]["runDetails"]["byproducts"][0]["digest"] == {"sha256": record}
    assert "is not a folder" in export(found, "--out", "nowhere/p.json", code=2)
    assert "choose in-toto or ro-crate" in export(found, "--format", "spdx", code=2)
    assert "--license: is for --format ro-crate" in export(found, "--license", "MIT", code=2)


@signing
def test_signed_and_verified(found: Found, tmp_path: Path) -> None:
    private, public = keys(tmp_path, "key")
    bundle = tmp_path / "provenance.json"
    export(found, "--key", str(private), "--out", str(bundle))
    document = json.loads(bundle.read_text())
    assert document["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert document["dsseEnvelope"]["payloadType"] == "application/vnd.in-toto+json"
    signed = json.loads(base64.b64decode(document["dsseEnvelope"]["payload"]))
    standard(signed)
    assert signed == json.loads(export(found)), "what is signed is what is printed"
    assert verify(found, str(bundle), "--key", str(public)) == (
        f"{bundle}: signed by {public}; 4 outputs are those of run {found.run.id}\n"
    )
    assert verify(found, str(bundle), "--key", str(public), "--path", str(found.folder.parent.parent / "sub folder"))


@signing
def test_openssl_agrees(found: Found, tmp_path: Path) -> None:
    """DSSE's own rule of what is signed, without the library."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private, public = keys(tmp_path, "key")
    envelope = json.loads(export(found, "--key", str(private)))["dsseEnvelope"]
    payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"].encode()
    key = serialization.load_pem_public_key(public.read_bytes())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    text = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), text, ec.ECDSA(hashes.SHA256()))


@signing
def test_a_key_with_a_password(found: Found, tmp_path: Path) -> None:
    import subprocess

    private, public = keys(tmp_path, "key")
    command = ["openssl", "pkey", "-in", private, "-aes256", "-passout", "pass:secret", "-out", tmp_path / "locked.pem"]
    subprocess.run(command, check=True, capture_output=True)
    bundle, locked = tmp_path / "p.json", str(tmp_path / "locked.pem")
    assert "locked.pem: is no key that can be used" in export(found, "--key", locked, code=2)
    export(found, "--key", locked, "--out", str(bundle), NIXGEN_KEY_PASSWORD="secret")
    verify(found, str(bundle), "--key", str(public))


def changed(bundle: Path, old: str, new: str) -> None:
    document = json.loads(bundle.read_text())
    payload = base64.b64decode(document["dsseEnvelope"]["payload"]).decode()
    assert old in payload
    document["dsseEnvelope"]["payload"] = base64.b64encode(payload.replace(old, new).encode()).decode()
    bundle.write_text(json.dumps(document))


@signing
def test_what_is_refused(found: Found, tmp_path: Path) -> None:
    root = found.folder.parent.parent
    private, public = keys(tmp_path, "key")
    _, other = keys(tmp_path, "other")
    bundle, key = tmp_path / "p.json", ("--key", str(public))
    export(found, "--key", str(private), "--out", str(bundle))
    kept = bundle.read_text()
    assert "is not a good signature: Key mismatch" in verify(found, str(bundle), "--key", str(other), code=1)
    changed(bundle, "train.py", "other.py")
    assert "is not a good signature" in verify(found, str(bundle), *key, code=1)
    bundle.write_text(kept)
    assert "no expected signer" in verify(found, str(bundle), code=2)
    (root / "sub folder/model/weights.npz").write_bytes(b"others")
    (root / "sub folder/a:b").unlink()
    said = verify(found, str(bundle), *key, code=1)
    assert f"model/weights.npz: is not what run {found.run.id} made: SHA-256 {sha256(b'others')}" in said
    assert "a:b: cannot be read: No such file" in said, "all at once"
    export(found, "--out", str(bundle))
    assert f"{bundle}: is not signed\n" in verify(found, str(bundle), *key, code=1)
    assert "nothing: cannot be read: No such file" in verify(found, "nothing", *key, code=2)
    for text in ("", "[]", "{}", "7", '{"dsseEnvelope": 7}', '{"dsseEnvelope": {"payload": "bm8="}}', "\udcff"):
        bundle.write_bytes(text.encode("utf-8", "surrogateescape"))
        assert "is neither an in-toto Statement nor a sigstore bundle" in verify(found, str(bundle), *key, code=2)


@signing
def test_a_signature_over_something_else(found: Found, tmp_path: Path) -> None:
    from support.tree import fill, tree

    from nixgen.models import signing as signatures

    private, public = keys(tmp_path, "key")
    model = tree(fill(tmp_path / "model", {"a": b"a"}), {"a": b"a"})
    signatures.sign([model], tmp_path / "sig", private)
    said = verify(found, str(tmp_path / "sig"), "--key", str(public), code=2)
    assert "sig: is not about a run of nixgen" in said


def test_nothing_optional_is_imported_for_a_statement(found: Found) -> None:
    import subprocess
    import sys

    root = found.folder.parent.parent
    code = (
        "import sys; from nixgen.cli import app\n"
        f"try: app(args=['runs', 'export', '--project', {str(root)!r}], prog_name='nixgen')\n"
        "except SystemExit as ended: assert not ended.code\n"
        "assert not {'google', 'in_toto_attestation', 'model_signing', 'cryptography'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_what_is_really_recorded(tmp_path: Path) -> None:
    """From a command to both forms; nothing of the secrets that were near gets into one."""
    from test_runs_record import Project, git

    recorded = Project(tmp_path / "project")
    recorded.commit()
    git(recorded.root, "remote", "add", "origin", "https://ann:hunter2@git.example.org/team/a.git")
    (recorded.root / "conf.yaml").write_text("rate: 0.1\npassword: hunter2\n")
    (recorded.root / "notes.txt").write_text("password: hunter2\n")  # as a configuration has it, which this is not
    code = "import os; os.mkdir('model'); open('model/w\u00e4 x', 'w').write('w')"
    words = ["--config", "conf.yaml", "--seed", "7", "--output", "model"]
    ran = recorded.python(code, *words)
    assert ran.returncode == 0, ran.stderr
    told = nixgen("runs", "export", cwd=recorded.root)
    document = json.loads(told.stdout)
    standard(document)
    assert document["subject"] == [{"name": "model/w\u00e4 x", "digest": {"sha256": sha256(b"w")}}]
    named = {one["name"]: one for one in document["predicate"]["buildDefinition"]["resolvedDependencies"]}
    assert named["code"]["uri"] == "git+https://git.example.org/team/a.git@refs/heads/main"
    assert {"diff.patch", "nixgen.lock"} <= named.keys(), "notes.txt is new"
    words = ["--format", "ro-crate", "--out", str(tmp_path / "crate")]
    done = nixgen("runs", "export", *words, cwd=recorded.root)
    assert (done.returncode, "warning: diff.patch: left out, since it has values of password\n" in done.stderr) == (
        0,
        True,
    )
    files = {path.name: path.read_bytes() for path in (tmp_path / "crate").rglob("*") if path.is_file()}
    assert {"conf.yaml", "run.yaml", "w\u00e4 x"} < files.keys()
    assert b"hunter2" not in told.stdout.encode() + b"".join(files.values())
