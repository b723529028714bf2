"""oci: sources, against a registry on loopback: manifests by tag and digest, layers, tokens."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.loopback import Asked, Reply, listen

from nixgen.artifacts.model import ArtifactSpec, PinnedArchive, PinnedArtifact, PinnedFile
from nixgen.artifacts.sources import Context, fetch, resolve
from nixgen.artifacts.store import Folder
from nixgen.errors import MachineError, NixgenError, UserError
from nixgen.oci.model import MANIFEST
from nixgen.registries import client as registries
from nixgen.registries.place import Place

WHERE = "models.toml: models.kit"
KIT = "application/vnd.kitops.modelkit"


def tar(**members: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        for name, content in members.items():
            entry = tarfile.TarInfo(name.replace("_", "."))
            entry.size = len(content)
            made.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass
class Registry:
    """A registry (OCI distribution specification 1.1) with a token service; ``login`` is what that one asks for."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, bytes] = field(default_factory=dict)
    token: str | None = None
    login: str | None = None
    asked: list[Asked] = field(default_factory=list)
    lie: dict[str, bytes] = field(default_factory=dict)
    address: str = ""

    @property
    def host(self) -> str:
        return self.address.removeprefix("http://")

    def push(self, tag: str, layers: list[dict[str, Any]]) -> str:
        """Adds a manifest with these layers; its digest."""
        config = {"mediaType": f"{KIT}.config.v1+json", "digest": digest(b"{}"), "size": 2}
        body = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}).encode()
        self.tags[tag] = self.tags[digest(body)] = body
        return digest(body)

    def layer(self, content: bytes, media: str, title: str | None = None) -> dict[str, Any]:
        self.blobs[digest(content)] = content
        made: dict[str, Any] = {"mediaType": media, "digest": digest(content), "size": len(content)}
        return made | ({"annotations": {"org.opencontainers.image.title": title}} if title else {})

    def answer(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        if asked.path == "/token":
            if self.login and asked.token != self.login:
                return Reply(401)
            return Reply.json({"token": self.token})
        if self.token and asked.token != f"Bearer {self.token}":
            challenge = f'Bearer realm="{self.address}/token",service="registry.test",scope="repository:org/kit:pull"'
            return Reply(401, {"WWW-Authenticate": challenge})
        kind, _, name = asked.path.removeprefix("/v2/org/kit/").partition("/")
        if kind == "blobs" and name in self.blobs:
            return Reply(307, {"Location": f"{self.address.replace('127.0.0.1', 'localhost')}/stored/{name}"})
        if kind == "manifests" and name in self.tags:
            body = self.tags[name]
            return Reply(200, {"Docker-Content-Digest": digest(body)}, self.lie.get(name, body))
        return Reply(404)

    def storage(self, asked: Asked, _: bytes) -> Reply:
        """The same server under another name: where blobs are, and no token belongs."""
        if asked.path.startswith("/stored/"):
            self.asked.append(asked)
            return Reply(200, {}, self.blobs[asked.path.rpartition("/")[2]])
        return self.answer(asked)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Registry]:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    monkeypatch.delenv("NETRC", raising=False)
    made = Registry()
    with listen(made.storage) as made.address:
        yield made


def pin(registry: Registry, root: Path, reference: str = ":v1", **changes: Any) -> PinnedArtifact:
    source = f"oci:{registry.host}/org/kit{reference}"
    spec = dataclasses.replace(ArtifactSpec("models", "kit", source, where=WHERE), **changes)
    return resolve(spec, None, Context(root, Folder(root / "held")))


def refusal(registry: Registry, root: Path, kind: type[NixgenError] = UserError, **changes: Any) -> str:
    with pytest.raises(kind) as caught:
        pin(registry, root, **changes)
    return str(caught.value)


def test_layers_are_pinned_by_digest_and_not_read(registry: Registry, tmp_path: Path) -> None:
    weights, labels = b"w" * 5000, b"a\nb\n"
    layers = [
        registry.layer(tar(model_onnx=weights), f"{KIT}.model.v1.tar"),
        registry.layer(labels, "text/plain", "labels.txt"),
    ]
    registry.push("v1", layers)
    found = pin(registry, tmp_path)
    packed = tar(model_onnx=weights)
    name = f"model-{digest(packed)[7:19]}.tar"
    assert found.files == (
        PinnedFile("labels.txt", len(labels), digest(labels)[7:]),
        PinnedFile(name, len(packed), digest(packed)[7:]),
    )
    assert not any("blobs" in asked.path for asked in registry.asked)
    places = fetch(found, Context(tmp_path, Folder(tmp_path / "held")))
    assert (places["labels.txt"].read_bytes(), places[name].read_bytes()) == (labels, packed)


def test_a_member_of_the_layer_that_has_it(registry: Registry, tmp_path: Path) -> None:
    code, model = tar(main_py=b""), tar(model_onnx=b"w" * 5000)
    registry.push("v1", [registry.layer(code, f"{KIT}.code.v1.tar"), registry.layer(model, f"{KIT}.model.v1.tar")])
    found = pin(registry, tmp_path, member="model.onnx")
    archive = PinnedArchive(digest(model)[7:], len(model))
    sha256 = hashlib.sha256(b"w" * 5000).hexdigest()
    assert found.files == (PinnedFile("model.onnx", 5000, sha256, member="model.onnx", archive=archive),)
    places = fetch(found, Context(tmp_path, Folder(tmp_path / "anew")))
    assert places["model.onnx"].read_bytes() == model
    said = refusal(registry, tmp_path, member="other.onnx")
    assert said == f"{WHERE}: no layer of oci:{registry.host}/org/kit:v1 has other.onnx\n  hint: check member"


def test_by_digest_and_by_an_index_of_one(registry: Registry, tmp_path: Path) -> None:
    by = registry.push("v1", [registry.layer(b"x", "text/plain", "x.txt")])
    assert pin(registry, tmp_path, f"@{by}").files == pin(registry, tmp_path).files
    registry.tags["v1"] = json.dumps({"schemaVersion": 2, "manifests": [{"digest": by}]}).encode()
    assert pin(registry, tmp_path).files[0].path == "x.txt"
    registry.tags["v1"] = json.dumps({"schemaVersion": 2, "manifests": [{"digest": by}] * 2}).encode()
    assert "org/kit is an index of 2 manifests" in refusal(registry, tmp_path)


def test_an_anonymous_token_stays_with_the_registry(registry: Registry, tmp_path: Path) -> None:
    registry.token = "t0ken"
    registry.push("v1", [registry.layer(b"x" * 100, "text/plain", "x.txt")])
    fetch(pin(registry, tmp_path), Context(tmp_path, Folder(tmp_path / "held")))
    asked = [(asked.path.split("/")[1], asked.token) for asked in registry.asked]
    assert asked[:3] == [("v2", None), ("token", None), ("v2", "Bearer t0ken")]
    assert [token for where, token in asked if where == "stored"] == [None]
    query = next(asked.target for asked in registry.asked if asked.path == "/token")
    assert query == "/token?service=registry.test&scope=repository%3Aorg%2Fkit%3Apull"


def test_a_token_that_runs_out_is_renewed(registry: Registry) -> None:
    """A registry's token is good for some minutes, and a model's layers take longer."""
    registry.layer(b"one", "text/plain")
    client = registries.Registry(Place.of(f"{registry.host}/org/kit"))
    for registry.token in ("first", "second"):
        with client.open(client.place.url("blobs", digest(b"one"))) as answer:
            assert answer.read(9) == b"one"


def test_a_login_comes_from_podman(registry: Registry, tmp_path: Path) -> None:
    registry.token, registry.login = "t0ken", "Basic bWU6c2VjcmV0"
    registry.push("v1", [])
    (tmp_path / "auth.json").write_text(json.dumps({"auths": {registry.host: {"auth": "bWU6c2VjcmV0"}}}))
    assert "has no files" in refusal(registry, tmp_path)


def test_a_registry_without_tokens_gets_the_login_itself(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.push("v1", [])
    (tmp_path / "auth.json").write_text(json.dumps({"auths": {registry.host: {"auth": "bWU6c2VjcmV0"}}}))
    real = registry.answer

    def answer(asked: Asked) -> Reply:
        return real(asked) if asked.token == "Basic bWU6c2VjcmV0" else Reply(401, {"WWW-Authenticate": "Basic realm=x"})

    monkeypatch.setattr(registry, "answer", answer)
    assert "has no files" in refusal(registry, tmp_path)


def test_a_login_comes_from_netrc(registry: Registry, tmp_path: Path) -> None:
    registry.token, registry.login = "t0ken", "Basic bWU6c2VjcmV0"
    registry.push("v1", [])
    assert "gives no token for" in refusal(registry, tmp_path)
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.netrc").write_text("machine 127.0.0.1 login me password secret\n")
    assert "has no files" in refusal(registry, tmp_path)


def evil(registry: Registry, realm: str, scope: str = "repository:org/kit:pull") -> None:
    """The registry sends for its token elsewhere."""
    real = registry.answer

    def answer(asked: Asked) -> Reply:
        if asked.path.startswith("/v2/") and asked.token != f"Bearer {registry.token}":
            registry.asked.append(asked)
            return Reply(401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="x",scope="{scope}"'})
        return real(asked)

    registry.answer = answer  # type: ignore[method-assign]


@pytest.mark.parametrize("hop", [False, True])
def test_another_host_s_login_is_not_asked_for(registry: Registry, tmp_path: Path, hop: bool) -> None:  # noqa: FBT001
    """Case 26: else the registry would get the token that the other host gives for the login. Nor over a redirect."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.netrc").write_text("machine localhost login me password secret\n")
    registry.token, registry.login = "t0ken", "Basic bWU6c2VjcmV0"
    registry.push("v1", [])
    other: list[Asked] = []

    def answer(asked: Asked, _: bytes) -> Reply:
        other.append(asked)
        return Reply.json({"token": "t0ken"}) if asked.token else Reply(401)

    with listen(answer) as address:
        foreign = address.replace("127.0.0.1", "localhost") + "/token"
        evil(registry, f"{registry.address}/hop" if hop else foreign)
        evil_answer = registry.answer
        registry.answer = (  # type: ignore[method-assign]
            lambda asked: Reply(302, {"Location": foreign}) if asked.path == "/hop" else evil_answer(asked)
        )
        assert "gives no token for" in refusal(registry, tmp_path)
    assert [asked.token for asked in other] == [None]
    assert {asked.token for asked in registry.asked} == {None}


def test_what_a_token_is_for_is_not_the_registry_s_to_say(registry: Registry, tmp_path: Path) -> None:
    """Case 26."""
    registry.token = "t0ken"
    registry.push("v1", [registry.layer(b"x", "text/plain", "x.txt")])
    evil(registry, f"{registry.address}/token?a=1", "repository:org/private:pull,push")
    pin(registry, tmp_path)
    query = next(asked.target for asked in registry.asked if asked.path == "/token")
    assert query == "/token?a=1&service=x&scope=repository%3Aorg%2Fkit%3Apull"


@pytest.mark.parametrize(
    "realm", ["http://token.example.org/", "https://[::1", "/token", "https://", "ftp://127.0.0.1/"]
)
def test_odd_places_for_tokens(registry: Registry, tmp_path: Path, realm: str) -> None:
    registry.token = "t0ken"
    evil(registry, realm)
    assert "sends for its token to an odd address" in refusal(registry, tmp_path, MachineError)


@pytest.mark.parametrize("token", [1, "a\nb", "\xe9", "", None])
def test_odd_tokens(registry: Registry, tmp_path: Path, token: object) -> None:
    registry.token = "t0ken"
    registry.push("v1", [])
    real = registry.answer
    registry.answer = lambda asked: (  # type: ignore[method-assign]
        Reply.json({"token": token}) if asked.path == "/token" else real(asked)
    )
    refusal(registry, tmp_path, NixgenError)


def test_a_challenge_is_read_in_time(registry: Registry, tmp_path: Path) -> None:
    """Case 36: 60,000 letters that are no key."""
    registry.token = "t0ken"
    real = registry.answer

    def answer(asked: Asked) -> Reply:
        reply = real(asked)
        if reply.status == 401:
            reply.headers["WWW-Authenticate"] = "Bearer " + "a" * 60_000
        return reply

    registry.answer = answer  # type: ignore[method-assign]
    assert "sends for its token to an odd address" in refusal(registry, tmp_path, MachineError)


def test_indexes_of_indexes_end(registry: Registry, tmp_path: Path) -> None:
    """Case 31: each names the next."""
    by = registry.push("v1", [registry.layer(b"x", "text/plain", "x.txt")])
    for _ in range(1200):
        body = json.dumps({"schemaVersion": 2, "manifests": [{"digest": by}]}).encode()
        by = digest(body)
        registry.tags[by] = registry.tags["v1"] = body
    assert "org/kit is an index of indexes" in refusal(registry, tmp_path)
    registry.tags["v1"] = json.dumps({"schemaVersion": 2, "manifests": [{"digest": "../../other"}]}).encode()
    assert "its index names '../../other', which is not a sha256" in refusal(registry, tmp_path)


def test_absent(registry: Registry, tmp_path: Path) -> None:
    assert refusal(registry, tmp_path) == (
        f"{WHERE}: the registry {registry.host} has no org/kit at v1, or it is private\n"
        "  hint: check the name; for a private one log in (podman login), "
        f"or put a login for {registry.host} into the netrc file"
    )


def test_a_manifest_of_other_bytes(registry: Registry, tmp_path: Path) -> None:
    by = registry.push("v1", [registry.layer(b"x", "text/plain", "x.txt")])
    registry.lie = {"v1": b"{}", by: b"{}"}
    for reference in (":v1", f"@{by}"):
        with pytest.raises(MachineError) as caught:
            pin(registry, tmp_path, reference)
        assert f"the registry was asked for the manifest {by}, and gave {digest(b'{}')}" in str(caught.value)


def test_a_layer_of_other_bytes(registry: Registry, tmp_path: Path) -> None:
    registry.push("v1", [registry.layer(b"good", "text/plain", "x.txt")])
    found = pin(registry, tmp_path)
    registry.blobs[digest(b"good")] = b"evil"
    with pytest.raises(UserError, match=r"x\.txt is not what it should be: its SHA-256 should be "):
        fetch(found, Context(tmp_path, Folder(tmp_path / "held")))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"digest": "md5:0123"}, "has a layer with the digest 'md5:0123', which is not a sha256"),
        ({"digest": None}, "digest: should be a text in the server's answer, and is None"),
        ({"size": "1"}, "size: should be a whole number in the server's answer, and is '1'"),
        ({"annotations": {"org.opencontainers.image.title": "../x"}}, 'leads out of its folder with ".."'),
    ],
)
def test_layers_that_cannot_be(registry: Registry, tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    registry.push("v1", [registry.layer(b"x", "text/plain", "x.txt") | change])
    assert sentence in refusal(registry, tmp_path, NixgenError)
