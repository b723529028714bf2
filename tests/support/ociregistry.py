"""A double of a registry of images, on loopback: it misbehaves as a test says. It is no real registry."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from support.loopback import Asked, Reply


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


DIES = Reply(status=0)
"""The registry dies, and is there again for the next request."""


@dataclass
class Double:
    """Takes blobs and manifests as the OCI distribution specification 1.1 has it; answers in ``instead`` come first.

    ``instead`` has, for a method and the end of a path, what is answered in turn.
    """

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    instead: list[tuple[str, str, Reply]] = field(default_factory=list)
    referrers: bool = False
    lists: dict[str, bytes] = field(default_factory=dict)
    """Lists of referrers that are given in place of the right ones, by the digest of the subject."""
    elsewhere: dict[str, bytes] = field(default_factory=dict)
    """Blobs of the repository team/base, which has nothing else."""
    basic: str = ""
    bearer: str = ""
    realm: str = ""
    address: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def host(self) -> str:
        return self.address.removeprefix("http://")

    @property
    def sent(self) -> int:
        return sum(1 for one in self.asked if one.method == "PUT" and "/blobs/" in one.path)

    def answer(self, asked: Asked, body: bytes) -> Reply:
        with self.lock:
            self.asked.append(asked)
            if asked.path == "/token":
                return self._token(asked)
            if refused := self._door(asked):
                return refused
            for row in self.instead:
                method, part, reply = row
                if asked.method == method and part in asked.target:
                    self.instead.remove(row)
                    return reply
            return self._answer(asked, body)

    def _token(self, asked: Asked) -> Reply:
        if self.basic and asked.token != self.basic:
            return Reply.error(401, "", "")
        return Reply.json({"token": self.bearer})

    def _door(self, asked: Asked) -> Reply | None:
        if self.bearer:
            realm = self.realm or f"{self.address}/token"
            scope = 'scope="repository:team/demo:pull"'
            challenge, right = f'Bearer realm="{realm}",service="double",{scope}', f"Bearer {self.bearer}"
        elif self.basic:
            challenge, right = 'Basic realm="double"', self.basic
        else:
            return None
        return None if asked.token == right else Reply(401, {"Www-Authenticate": challenge})

    def _answer(self, asked: Asked, body: bytes) -> Reply:  # noqa: PLR0911
        found = re.fullmatch(r"/v2/team/demo/(blobs|manifests|referrers)/(.+)", asked.path)
        assert found, asked.path
        kind, rest = found.groups()
        if rest == "uploads/" and asked.method == "POST":
            given = parse_qs(urlsplit(asked.target).query)
            [mount] = given.get("mount", [""])
            if mount in self.elsewhere and given["from"] == ["team/base"]:
                self.blobs[mount] = self.elsewhere[mount]
                return Reply(201, {"Docker-Content-Digest": mount})
            return Reply(202, {"Location": f"/v2/team/demo/blobs/uploads/{len(self.asked)}?state=x"})
        if asked.method == "PUT" and kind == "blobs":
            [named] = parse_qs(urlsplit(asked.target).query)["digest"]
            if digest(body) != named:
                return Reply(400, {}, b'{"errors":[{"code":"DIGEST_INVALID"}]}')
            self.blobs[named] = body
            return Reply(201, {"Docker-Content-Digest": named})
        if asked.method == "PUT":
            value = json.loads(body)
            parts = [value["config"], *value["layers"]] if "layers" in value else []
            missing = [one for one in parts if one["digest"] not in self.blobs]
            missing += [one for one in value.get("manifests", ()) if one["digest"] not in self.manifests]
            if missing:
                return Reply(400, {}, b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}')
            self.manifests |= {rest: body, digest(body): body}
            headers = {"Docker-Content-Digest": digest(body)}
            if self.referrers and "subject" in value:
                headers["OCI-Subject"] = value["subject"]["digest"]
            return Reply(201, headers)
        if kind == "referrers":
            return Reply(200, {}, self.lists.get(rest) or self._referrers(rest)) if self.referrers else Reply(404)
        data = (self.blobs if kind == "blobs" else self.manifests).get(rest)
        if data is None:
            return Reply(404)
        return Reply(200, {"Docker-Content-Digest": digest(data)}, data)

    def _referrers(self, subject: str) -> bytes:
        values = {name: json.loads(data) for name, data in self.manifests.items() if name.startswith("sha256:")}
        rows = [
            {"digest": name, "artifactType": value.get("artifactType")}
            for name, value in values.items()
            if value.get("subject", {}).get("digest") == subject
        ]
        return json.dumps({"manifests": rows}).encode()
