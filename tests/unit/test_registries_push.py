"""Pushing to registries: against a double on loopback, which misbehaves as told. It is no real registry."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from support.loopback import Reply, listen
from support.ociregistry import DIES, Double, digest

from nixgen.console import console
from nixgen.errors import MachineError, NixgenError, UserError
from nixgen.oci.model import CONFIG, LAYER, Blob, Image, Index, Unequal
from nixgen.registries import logins, mounts
from nixgen.registries.client import Registry
from nixgen.registries.place import HUB, Place
from nixgen.registries.push import Document, attach, push, send


@pytest.fixture
def double(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Double]:
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = Double()
    with listen(made.answer) as address:
        made.address = address
        yield made


def enter(tmp_path: Path, **users: str) -> None:
    """Writes logins, by host, as podman login does."""
    auths = {host: {"auth": base64.b64encode(user.encode()).decode()} for host, user in users.items()}
    (tmp_path / "auth.json").write_text(json.dumps({"auths": auths}))


def basic(user: str) -> str:
    return f"Basic {base64.b64encode(user.encode()).decode()}"


def image(*texts: bytes) -> Image:
    return Image.of(Blob.of({"a": 1}, CONFIG), [Blob.of_bytes(text, LAYER) for text in texts or (b"one", b"two")])


def registry(double: Double) -> Registry:
    return Registry(Place.of(f"{double.host}/team/demo"), "pull,push", first_pause=0.01)


def test_only_what_is_missing_is_sent(double: Double) -> None:
    assert push(registry(double), image(), ["1.0"]) == 13
    assert double.sent == 3
    assert push(registry(double), image(), ["1.0", "latest"]) == 0
    assert double.sent == 3
    assert push(registry(double), image(b"one", b"three"), ["1.1"]) == 5
    assert double.sent == 4
    assert double.manifests["1.1"] != double.manifests["1.0"] == double.manifests["latest"]


def test_a_blob_of_another_repository_is_mounted(double: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine pushed to another repository is asked for from there, and sent where it is there no longer."""
    there, gone, here = (Blob.of_bytes(text, LAYER).descriptor.digest for text in (b"one", b"two", b"three"))
    double.elsewhere, double.basic, double.bearer = {there: b"one"}, "", "t"
    monkeypatch.setattr(console, "quiet", True)
    mounts.note(Place(double.host, "team/base"), [there, gone])
    assert send(Place(double.host, "team/demo"), image(b"one", b"two", b"three"), ["1.0"]) == len(b'{"a":1}twothree')
    assert double.blobs[there] == b"one"
    [token] = {one.target for one in double.asked if one.path == "/token"}
    scopes = ["repository:team/demo:pull,push", "repository:team/base:pull"]
    assert parse_qs(urlsplit(token).query)["scope"] == scopes
    assert mounts.known(Place(double.host, "other"), [there, here]) == {there: "team/demo", here: "team/demo"}
    assert not mounts.known(Place("registry.example.org", "other"), [there, here])


@pytest.mark.parametrize("status", [403, 404, 405])
def test_a_registry_that_mounts_nothing(double: Double, status: int) -> None:
    layer = Blob.of_bytes(b"one", LAYER).descriptor.digest
    double.instead = [("POST", "mount=", Reply(status))]
    assert push(registry(double), image(b"one"), ["1.0"], elsewhere={layer: "team/base"}) == len(b'{"a":1}one')


def test_a_token_without_the_other_repository(double: Double) -> None:
    """A service of tokens that refuses all where one repository may not be read."""
    real = double._token
    double.bearer = "t"
    double._token = lambda asked: Reply(403) if "base" in asked.target else real(asked)  # type: ignore[method-assign]
    layer = Blob.of_bytes(b"one", LAYER).descriptor.digest
    entering = Registry(Place.of(f"{double.host}/team/demo"), "pull,push", ("team/base",), first_pause=0.01)
    push(entering, image(b"one"), ["1.0"], elsewhere={layer: "team/base"})
    assert "1.0" in double.manifests


def test_an_index_comes_behind_its_manifests(double: Double) -> None:
    whole = Index.of([image(b"one"), image(b"two")])
    push(registry(double), whole, ["1.0"])
    assert digest(double.manifests["1.0"]) == whole.manifest.descriptor.digest


@pytest.mark.parametrize("bearer", ["", "secret-token"])
def test_a_login_enters_by_its_name(double: Double, tmp_path: Path, bearer: str) -> None:
    double.basic, double.bearer = basic("mona:pass:word"), bearer
    with pytest.raises(UserError, match=r"podman login 127\.0\.0\.1"):
        push(registry(double), image(), ["1.0"])
    enter(tmp_path, **{double.host: "mona:pass:word"})
    push(registry(double), image(), ["1.0"])
    tokens = [one for one in double.asked if one.path == "/token"]
    assert all(parse_qs(urlsplit(one.target).query)["scope"] == ["repository:team/demo:pull,push"] for one in tokens)


def test_a_login_is_never_shown_to_another(double: Double, tmp_path: Path) -> None:
    """Neither where tokens come from, nor where an upload goes, nor where a redirect leads."""
    other = Double()
    with listen(other.answer) as address:
        other.address, other.bearer = address, "t"
        double.bearer, double.realm = "t", f"{address}/token"
        enter(tmp_path, **{double.host: "mona:password", other.host: "mona:other"})
        (tmp_path / "netrc").write_text("machine 127.0.0.2 login mona password other\n")
        other.instead = [("PUT", "/elsewhere", Reply(201))] * 3
        double.instead = [("POST", "uploads", Reply(202, {"Location": f"{address}/elsewhere"}))] * 3
        double.instead += [("HEAD", "/blobs/", Reply(307, {"Location": f"{address}/v2/team/demo/blobs/x"}))]
        with pytest.raises(NixgenError):
            push(registry(double), image(), ["1.0"])
        assert other.asked
        assert all(one.token is None for one in other.asked)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_registry_is_asked_again(double: Double, status: int) -> None:
    busy = Reply(status, {"Retry-After": "0"})
    double.instead = [("HEAD", "/blobs/", busy), ("POST", "uploads", busy), ("PUT", "/blobs/", busy),
                      ("PUT", "/manifests/", busy)]  # fmt: skip
    push(registry(double), image(), ["1.0"])
    assert not double.instead
    assert "1.0" in double.manifests


def test_a_registry_that_stays_busy_is_given_up(double: Double) -> None:
    double.instead = [("HEAD", "/blobs/", Reply(429, {"Retry-After": "9999"}))] * 9
    with pytest.raises(MachineError, match="429"):
        push(registry(double), image(), ["1.0"])
    assert not double.manifests


def test_a_registry_that_dies_in_the_middle(double: Double) -> None:
    double.instead = [("PUT", "/blobs/", DIES), ("PUT", "/blobs/", Reply(404)), ("HEAD", "/blobs/", DIES)]
    double.instead += [("POST", "uploads", DIES), ("PUT", "/manifests/", DIES)]
    push(registry(double), image(), ["1.0"])
    assert "1.0" in double.manifests


@pytest.mark.parametrize(("method", "part"), [("PUT", "/blobs/"), ("PUT", "/manifests/"), ("HEAD", "/blobs/")])
def test_another_digest_than_it_was_given(double: Double, method: str, part: str) -> None:
    wrong = digest(b"other")
    double.instead = [(method, part, Reply(200 if method == "HEAD" else 201, {"Docker-Content-Digest": wrong}))]
    with pytest.raises(MachineError, match=wrong):
        push(registry(double), image(), ["1.0"])
    assert "1.0" not in double.manifests


@pytest.mark.parametrize("referrers", [False, True])
def test_documents_refer_to_the_image(double: Double, *, referrers: bool) -> None:
    double.referrers, whole = referrers, image()
    push(registry(double), whole, ["1.0"])
    subject = whole.manifest.descriptor
    found = [
        attach(registry(double), subject, Document("x.json", "application/x", text)) for text in (b"1", b"2", b"1")
    ]
    assert found[0] == found[2]
    made = json.loads(double.manifests[found[0].digest])
    assert made["artifactType"] == "application/x"
    assert made["subject"] == {"mediaType": subject.media_type, "digest": subject.digest, "size": subject.size}
    assert double.blobs[made["layers"][0]["digest"]] == b"1"
    tag = subject.digest.replace(":", "-")
    if referrers:
        assert tag not in double.manifests
    else:
        rows = json.loads(double.manifests[tag])["manifests"]
        assert [row["digest"] for row in rows] == [one.digest for one in found[:2]]
        assert {row["artifactType"] for row in rows} == {"application/x"}


def test_without_its_documents_nothing_is_published(double: Double) -> None:
    def documents() -> list[Document]:
        raise UserError.of("uv.lock", "is stale")

    with pytest.raises(UserError, match="is stale"):
        send(Place.of(f"{double.host}/team/demo"), image(), ["1.0"], documents)
    assert not double.manifests


def test_a_tag_that_is_no_list_of_referrers_stays(double: Double) -> None:
    whole = image()
    tag = whole.manifest.descriptor.digest.replace(":", "-")
    push(registry(double), whole, ["1.0", tag])
    with pytest.raises(MachineError, match="no list of referrers"):
        attach(registry(double), whole.manifest.descriptor, Document("x.json", "application/x", b"1"))
    assert double.manifests[tag] == double.manifests["1.0"]


def test_what_changed_on_the_disk_is_named_and_nothing_published(double: Double, tmp_path: Path) -> None:
    right = Blob.of_bytes(b"layer" * 1000, LAYER)
    (tmp_path / "layer").write_bytes(b"lager" * 1000)
    wrong = Blob.of_file(tmp_path / "layer", right.descriptor)
    gone = Blob.of_file(tmp_path / "gone", right.descriptor)
    for blob in (wrong, gone):
        with pytest.raises(Unequal, match=right.descriptor.digest):
            push(registry(double), Image.of(Blob.of({}, CONFIG), [blob]), ["1.0"])
    assert not double.manifests
    assert right.descriptor.digest not in double.blobs


def test_two_pushes_of_one_tag(double: Double) -> None:
    images = [image(b"one", b"same"), image(b"two", b"same")]
    threads = [threading.Thread(target=push, args=(registry(double), one, ["1.0"])) for one in images]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert digest(double.manifests["1.0"]) in {one.manifest.descriptor.digest for one in images}
    assert all(one.manifest.descriptor.digest in double.manifests for one in images)


@pytest.mark.parametrize("where", ["http://registry.example.org/upload", "ftp://x/y", "https://a:b@example.org/", None])
def test_uploads_go_to_no_odd_place(double: Double, where: str | None) -> None:
    double.instead = [("POST", "uploads", Reply(202, {"Location": where} if where else {}))] * 3
    with pytest.raises(MachineError, match="no place for an upload"):
        push(registry(double), image(), ["1.0"])


def test_places() -> None:
    assert Place.of("docker.io/demo:1") == Place(HUB, "library/demo", "1")
    assert Place.of("docker://registry.example.org:5000/a/b").url("blobs", "x") == (
        "https://registry.example.org:5000/v2/a/b/blobs/x"
    )
    assert Place.of("localhost:5000/a").root == "http://localhost:5000"
    for odd in ("demo", "example.org/Demo", "example.org/a:b:c", "example.org/../a", "http://example.org/a"):
        with pytest.raises(UserError):
            Place.of(odd)
    for told in ("me:s3cret@", "https://me:s3cret@", "docker://s3cret@", "oci:me:s3/cret@", "a@s3cret@"):
        with pytest.raises(UserError, match=r"\*\*\*@example\.org/a: is no place") as raised:
            Place.of(f"{told}example.org/a?token=s3cret")
        assert "cret" not in str(raised.value)
    with pytest.raises(UserError, match=r"example\.org/a@sha256:0"):
        Place.of("example.org/a@sha256:0")


def program(folder: Path, answer: dict[str, Any] | None) -> None:
    folder.mkdir(exist_ok=True)
    text = f"cat > {folder}/key\necho '{json.dumps(answer)}'" if answer else "echo credentials not found; exit 1"
    (folder / "docker-credential-double").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "docker-credential-double").chmod(0o755)


def test_logins_of_docker_and_podman(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    docker, podman = tmp_path / ".docker" / "config.json", tmp_path / "run" / "containers" / "auth.json"
    for path in (docker, podman):
        path.parent.mkdir(parents=True)
    auth = base64.b64encode(b"mona:secret").decode()
    docker.write_text(json.dumps({"auths": {
        "https://index.docker.io/v1/": {"auth": auth}, "https://a.example.org/v2/": {"identitytoken": "i"},
        "b.example.org": {}}}))  # fmt: skip
    podman.write_text(json.dumps({"auths": {"c.example.org/team": {"auth": auth}}}))
    assert logins.login("registry-1.docker.io", "x", env) == logins.Login("mona", "secret")
    assert logins.login("a.example.org", "x", env) == logins.Login("", "", "i")
    assert logins.login("b.example.org", "x", env) is None
    assert logins.login("c.example.org", "team/demo", env) == logins.Login("mona", "secret")
    assert logins.login("c.example.org", "other/demo", env) is None
    assert "secret" not in repr(logins.login("c.example.org", "team/demo", env))
    program(tmp_path / "bin", {"Username": "helped", "Secret": "s"})
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    docker.write_text(json.dumps({"credsStore": "double"}))
    assert logins.login("docker.io", "x", env) == logins.Login("helped", "s")
    assert (tmp_path / "bin" / "key").read_text() == "https://index.docker.io/v1/"
    program(tmp_path / "bin", None)
    assert logins.login("docker.io", "x", env) is None
    docker.write_text(json.dumps({"credHelpers": {"docker.io": "../x"}}))
    with pytest.raises(UserError, match="credential helper"):
        logins.login("docker.io", "x", env)
    docker.write_text("[")
    with pytest.raises(UserError, match="JSON"):
        logins.login("docker.io", "x", env)
