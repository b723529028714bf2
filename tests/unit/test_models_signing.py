"""Signatures by key, offline, with the real library; skipped where the extra ``sign`` is not installed."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest
from exported import keys as made_keys
from support.tree import fill, flip, tree

from nixgen import guard
from nixgen.errors import Finding, MachineError, UserError
from nixgen.models import signing

pytestmark = pytest.mark.skipif(find_spec("model_signing") is None, reason="needs the extra sign")

FILES = {"config.json": b"{}", "model.onnx": b"m" * 5000, ".gitattributes": b"* text\n", "sub/a": b""}


@pytest.fixture
def model(tmp_path: Path) -> guard.Tree:
    return tree(fill(tmp_path / "model", FILES), FILES)


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    return made_keys(tmp_path, "key")


def resource(tmp_path: Path) -> dict[str, object]:
    """What a bundle says, from its envelope."""
    document = json.loads((tmp_path / "sig").read_text())
    found = json.loads(base64.b64decode(document["dsseEnvelope"]["payload"]))
    assert isinstance(found, dict)
    return found


def test_what_was_signed_is_verified(model: guard.Tree, keys: tuple[Path, Path], tmp_path: Path) -> None:
    assert signing.sign([model], tmp_path / "sig", keys[0]).ok
    assert signing.verify([model], tmp_path / "sig", signing.Signer(keys[1])) == ()
    predicate = resource(tmp_path)["predicate"]
    assert isinstance(predicate, dict)
    assert [(entry["name"], entry["digest"]) for entry in predicate["resources"]] == [
        (file.path, file.sha256) for file in model.files
    ]


def test_the_librarys_own_command_agrees(model: guard.Tree, keys: tuple[Path, Path], tmp_path: Path) -> None:
    from model_signing import hashing, verifying

    signing.sign([model], tmp_path / "sig", keys[0])
    plain = hashing.Config().set_ignored_paths(paths=[], ignore_git_paths=False)
    config = verifying.Config().use_elliptic_key_verifier(public_key=keys[1]).set_hashing_config(plain)
    config.verify(Path(model.folder), tmp_path / "sig")


def test_a_bundle_of_the_library_that_leaves_files_out(
    model: guard.Tree, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    import model_signing.signing

    config = model_signing.signing.Config().use_elliptic_key_signer(private_key=keys[0])
    config.sign(model.folder, tmp_path / "sig")
    assert signing.verify([model], tmp_path / "sig", signing.Signer(keys[1])) == (".gitattributes",)


def test_another_key_another_pin_and_a_changed_bundle(
    model: guard.Tree, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    bundle = tmp_path / "sig"
    signing.sign([model], bundle, keys[0])
    with pytest.raises(Finding, match="is not a good signature: Key mismatch"):
        signing.verify([model], bundle, signing.Signer(made_keys(tmp_path, "other")[1]))
    other = tree(Path(model.folder), {**FILES, "config.json": b"[]"})
    with pytest.raises(Finding, match=r"Hash mismatch for 'config\.json'"):
        signing.verify([other], bundle, signing.Signer(keys[1]))
    fewer = tree(Path(model.folder), {"config.json": b"{}"})
    with pytest.raises(Finding, match="Missing files in model"):
        signing.verify([fewer], bundle, signing.Signer(keys[1]))
    _change(bundle, {"name": "evil", "algorithm": "sha256", "digest": "0" * 64})
    with pytest.raises(Finding, match="is not a good signature"):
        signing.verify([model], bundle, signing.Signer(keys[1]))


def _change(bundle: Path, resource: Mapping[str, str]) -> None:
    document = json.loads(bundle.read_text())
    payload = json.loads(base64.b64decode(document["dsseEnvelope"]["payload"]))
    payload["predicate"]["resources"].append(resource)
    document["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
    bundle.write_text(json.dumps(document))


def test_what_is_not_the_pinned_file_is_not_signed(model: guard.Tree, keys: tuple[Path, Path], tmp_path: Path) -> None:
    flip(Path(model.folder, "model.onnx"), 100)
    with pytest.raises(Finding, match=r"models\.m: is not signed: (?s:.)*model\.onnx: is changed"):
        signing.sign([model], tmp_path / "sig", keys[0])
    assert not (tmp_path / "sig").exists()


def test_a_key_with_a_password(model: guard.Tree, keys: tuple[Path, Path], tmp_path: Path) -> None:
    locked = tmp_path / "locked.pem"
    command = ["openssl", "pkey", "-in", keys[0], "-aes256", "-passout", "pass:secret", "-out", locked]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(UserError, match=r"locked\.pem: is no key that can be used"):
        signing.sign([model], tmp_path / "sig", locked)
    signing.sign([model], tmp_path / "sig", locked, password="secret")
    assert signing.verify([model], tmp_path / "sig", signing.Signer(keys[1])) == ()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"[" * 100_000, b'{"dsseEnvelope": {"payload": "bm8="}}'])
def test_what_is_no_bundle(model: guard.Tree, keys: tuple[Path, Path], tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sig").write_bytes(content)
    with pytest.raises(UserError, match="is not a sigstore bundle of a model's signature"):
        signing.verify([model], tmp_path / "sig", signing.Signer(keys[1]))


def test_bad_input(model: guard.Tree, keys: tuple[Path, Path], tmp_path: Path) -> None:
    signing.sign([model], tmp_path / "sig", keys[0])
    with pytest.raises(UserError, match="no expected signer"):
        signing.verify([model], tmp_path / "sig", signing.Signer(identity="me@example.org"))
    with pytest.raises(UserError, match="nothing: cannot be read: No such file"):
        signing.verify([model], tmp_path / "nothing", signing.Signer(keys[1]))
    with pytest.raises(UserError, match=r"nothing\.pub: cannot be read"):
        signing.verify([model], tmp_path / "sig", signing.Signer(tmp_path / "nothing.pub"))
    (tmp_path / "text.pub").write_text("no key")
    with pytest.raises(UserError, match=r"text\.pub: is no key that can be used"):
        signing.verify([model], tmp_path / "sig", signing.Signer(tmp_path / "text.pub"))
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", tmp_path / "ed.pem"], check=True)
    with pytest.raises(UserError) as other:
        signing.sign([model], tmp_path / "other", tmp_path / "ed.pem")
    assert "ed.pem: is not a key of an elliptic curve\n  hint: make a pair: openssl ecparam" in str(other.value)
    with pytest.raises(UserError, match="a signature is one artifact's"):
        signing.verify([model, model._replace(name="models.n")], tmp_path / "sig", signing.Signer(keys[1]))


def test_sigstore_that_cannot_be_asked(model: guard.Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key the library asks servers, and raises what they and the network do."""
    import model_signing.signing
    import model_signing.verifying

    def offline(*_: object, **__: object) -> None:
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(model_signing.signing.Config, "use_sigstore_signer", offline)
    monkeypatch.setattr(model_signing.verifying.Config, "use_sigstore_verifier", offline)
    said = "sigstore: cannot be asked: no route to host"
    with pytest.raises(MachineError, match=said):
        signing.sign([model], tmp_path / "sig", None)
    with pytest.raises(MachineError, match=said):
        signing.sign_statement({}, None)
    with pytest.raises(MachineError, match=said):
        signing.verify_statement(b"", "a", signing.Signer(identity="ann", issuer="https://login.example.org"))
