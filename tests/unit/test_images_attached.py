"""Signed provenance of images: attached to them in a registry, and verified; against a double on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import exported
import pytest
from support import debianregistry
from support.loopback import listen
from support.ociregistry import Double, digest
from support.program import nixgen

from nixgen.errors import Finding, MachineError, UserError
from nixgen.images import attached
from nixgen.images.attached import Signing, documents
from nixgen.images.build import Made
from nixgen.models.signing import Signer
from nixgen.oci.model import CONFIG, LAYER, Blob, Image
from nixgen.registries.client import Registry as Client
from nixgen.registries.place import Place
from nixgen.registries.push import Document, attach, send

pytestmark = pytest.mark.skipif(find_spec("model_signing") is None, reason="needs the extra sign")


@pytest.fixture(params=[False, True], ids=["tag", "referrers"])
def double(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Double]:
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = Double(referrers=request.param)
    with listen(made.answer) as made.address:
        yield made


def image(tmp_path: Path, code: bytes = b"code") -> Made:
    whole = Image.of(Blob.of({"a": 1}, CONFIG), [Blob.of_bytes(code, LAYER)])
    project: Any = SimpleNamespace(root=tmp_path)
    return Made(whole, "demo:1.0", {}, project)


def push(host: str, made: Made, secret: Path | None) -> str:
    by = Signing(secret) if secret else None
    send(Place.of(f"{host}/team/demo"), made.whole, ["1.0"], lambda: documents(made, by))
    return made.digest


def test_a_signed_provenance_is_verified_by_tag_and_digest(double: Double, tmp_path: Path) -> None:
    (secret, public), (_, other) = exported.keys(tmp_path, "key"), exported.keys(tmp_path, "other")
    pushed = push(double.host, image(tmp_path), secret)
    for name in (":1.0", f"@{pushed}"):
        found = attached.verify(f"{double.host}/team/demo{name}", Signer(public))
        assert found.digest == pushed
        assert found.signer.startswith("the key ")
    with pytest.raises(Finding, match="not a good signature"):
        attached.verify(f"{double.host}/team/demo:1.0", Signer(other))
    done = nixgen("image", "verify", f"{double.host}/team/demo:1.0", "--key", str(public), cwd=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, pushed), done.stderr


def test_one_good_signature_is_enough(double: Double, tmp_path: Path) -> None:
    (first, _), (second, public) = exported.keys(tmp_path, "first"), exported.keys(tmp_path, "second")
    for secret in (first, second):
        pushed = push(double.host, image(tmp_path), secret)
    assert attached.verify(f"{double.host}/team/demo:1.0", Signer(public)).digest == pushed


def test_what_is_not_signed_or_about_another_image_is_refused(double: Double, tmp_path: Path) -> None:
    secret, public = exported.keys(tmp_path, "key")
    push(double.host, image(tmp_path), None)
    with pytest.raises(Finding, match=r"has no signed provenance\n  hint: sign it: nixgen image push --key FILE"):
        attached.verify(f"{double.host}/team/demo:1.0", Signer(public))
    [stolen] = documents(image(tmp_path, b"other"), Signing(secret))
    client = Client(Place.of(f"{double.host}/team/demo"), "pull,push")
    attach(client, image(tmp_path).whole.manifest.descriptor, stolen)
    client.close()
    with pytest.raises(Finding, match="of another image"):
        attached.verify(f"{double.host}/team/demo:1.0", Signer(public))


def test_a_registry_that_gives_other_bytes_is_named(double: Double, tmp_path: Path) -> None:
    secret, public = exported.keys(tmp_path, "key")
    pushed = push(double.host, image(tmp_path), secret)
    place = f"{double.host}/team/demo:1.0"
    [held] = [name for name, data in double.blobs.items() if b"dsseEnvelope" in data]
    good, double.blobs[held] = double.blobs[held], b"{}"
    with pytest.raises(MachineError, match="gives other bytes"):
        attached.verify(place, Signer(public))
    double.blobs[held] = good
    double.manifests[pushed] = double.manifests["1.0"] = b"{}"
    with pytest.raises(Finding, match="no signed provenance"):
        attached.verify(place, Signer(public))
    with pytest.raises(MachineError, match="was asked for the manifest"):
        attached.verify(f"{double.host}/team/demo@{pushed}", Signer(public))
    with pytest.raises(UserError, match="another digest than sha256"):
        attached.verify(f"{double.host}/team/demo@md5:0", Signer(public))


@pytest.mark.parametrize("listed", [b"[", b"[]", b'{"manifests": [1]}', b'{"manifests": [{"artifactType": "%b"}]}'])
def test_odd_lists_of_referrers(double: Double, tmp_path: Path, listed: bytes) -> None:
    _, public = exported.keys(tmp_path, "key")
    pushed = push(double.host, image(tmp_path), None)
    data = listed.replace(b"%b", attached.BUNDLE.encode())
    double.lists[pushed] = data
    double.manifests[pushed.replace(":", "-")] = double.manifests[digest(data)] = data
    with pytest.raises(MachineError, match="cannot be read"):
        attached.verify(f"{double.host}/team/demo:1.0", Signer(public))


@pytest.mark.network
def test_in_the_registry_of_debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    secret, public = exported.keys(tmp_path, "key")
    with debianregistry.registry(tmp_path) as address:
        pushed = push(address, image(tmp_path), secret)
        assert attached.verify(f"{address}/team/demo:1.0", Signer(public)).digest == pushed


def test_the_bundle_is_where_cosign_looks_for_it(tmp_path: Path) -> None:
    secret, _ = exported.keys(tmp_path, "key")
    [document] = documents(image(tmp_path), Signing(secret))
    assert isinstance(document, Document)
    assert json.loads(document.data)["mediaType"] == document.media_type == attached.BUNDLE
    assert document.annotations["dev.sigstore.bundle.predicateType"] == "https://slsa.dev/provenance/v1"
