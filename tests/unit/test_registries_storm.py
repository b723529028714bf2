"""A registry that misbehaves at each request of a push in turn: an image is whole there in the end, or has no tag."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.loopback import Asked, Reply, listen
from support.ociregistry import DIES, Double, digest

from nixgen.errors import MachineError, NixgenError
from nixgen.oci.model import CONFIG, LAYER, Blob, Image
from nixgen.registries.client import Registry
from nixgen.registries.place import Place
from nixgen.registries.push import Document, attach, push

IMAGE = Image.of(Blob.of({"a": 1}, CONFIG), [Blob.of_bytes(text, LAYER) for text in (b"one", b"two" * 1_000_000)])
MOST = 60  # requests of a whole push, with one that went wrong

Wrong = Callable[[Reply], Reply]
WRONGS: dict[str, Wrong] = {
    "dies before": lambda _: DIES,
    "says nothing more": lambda reply: replace(reply, status=0),
    "500": lambda _: Reply(500),
    "429": lambda _: Reply(429, {"Retry-After": "0"}),
    "a wait without end": lambda _: Reply(503, {"Retry-After": "99999999"}),
    "401": lambda _: Reply(401, {"Www-Authenticate": 'Bearer realm="http://127.0.0.1:9/token"'}),
    "401 for basic": lambda _: Reply(401, {"Www-Authenticate": "Basic"}),
    "403": lambda _: Reply(403, {}, b'{"errors":[{"message":"no\x1b[2J"}]}'),
    "404": lambda _: Reply(404),
    "redirects": lambda _: Reply(307, {"Location": "http://127.0.0.1:9/elsewhere"}),
    "redirects to a file": lambda _: Reply(302, {"Location": "file:///etc/passwd"}),
    "another digest": lambda reply: replace(reply, headers=reply.headers | {"Docker-Content-Digest": digest(b"other")}),
    "no digest": lambda reply: replace(
        reply, headers={name: value for name, value in reply.headers.items() if name != "Docker-Content-Digest"}
    ),
    "no place": lambda reply: replace(reply, headers={}),
    "much more": lambda reply: replace(reply, body=b"[" * (5 << 20)),
    "another length": lambda reply: replace(reply, headers=reply.headers | {"Content-Length": "7"}, body=b"1234567"),
    "200 for all": lambda _: Reply(200),
    "201 for all": lambda _: Reply(201),
}


class Storm(Double):
    """Answers request ``at`` in a wrong way; ``loses`` says that it never comes to do what was asked."""

    at, wrong, loses, seen = 0, WRONGS["500"], True, 0

    def answer(self, asked: Asked, body: bytes) -> Reply:
        with self.lock:
            turn, self.seen = self.seen, self.seen + 1
        if turn == self.at and self.loses:
            return self.wrong(Reply(200))
        reply = super().answer(asked, body)
        return self.wrong(reply) if turn == self.at else reply

    @property
    def whole(self) -> bool:
        wanted = {blob.descriptor.digest: b"".join(blob.open()) for blob in (*IMAGE.blobs, IMAGE.manifest)}
        held = self.blobs | self.manifests
        return all(held.get(name) == data for name, data in wanted.items())


@pytest.mark.heavy
@pytest.mark.parametrize("loses", [True, False])
@pytest.mark.parametrize("name", WRONGS)
def test_an_image_is_whole_or_has_no_tag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, *, loses: bool
) -> None:
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    monkeypatch.setattr("nixgen.registries.client.time.sleep", lambda _: None)
    monkeypatch.setattr("nixgen.machine.download.time.sleep", lambda _: None)
    document = Document("a.json", "application/json", b"{}")
    went, failed = 0, 0
    for at in range(MOST):
        storm = Storm(referrers=True)
        storm.at, storm.wrong, storm.loses = at, WRONGS[name], loses
        with listen(storm.answer) as storm.address:
            registry = Registry(Place.of(f"{storm.host}/team/demo"), "pull,push", first_pause=0.0)
            error = None
            try:
                push(registry, IMAGE, ["1.0"])
                attach(registry, IMAGE.manifest.descriptor, document)
            except NixgenError as raised:
                error = raised
            finally:
                registry.close()
        if error is None:
            went += 1
            assert storm.whole, at
            assert storm.manifests["1.0"] == b"".join(IMAGE.manifest.open()), at
        else:
            failed += 1
            assert isinstance(error, MachineError) or "40" in str(error), error
            assert "1.0" not in storm.manifests or storm.whole, at
        if storm.seen <= at:  # the push was over before it came to that
            break
    assert went
    assert went + failed < MOST
