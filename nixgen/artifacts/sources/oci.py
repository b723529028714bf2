"""``oci:HOST/NAME:TAG``: the layers of an artifact in a registry, by their digests (OCI distribution and image specs).

A ModelKit's layers are tars; each is one file here, and with ``member`` the archive of one. What ``oras push`` made is
the files themselves. A layer's digest is its SHA-256: it is pinned without being read.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from nixgen.artifacts.http.client import Client, parsed
from nixgen.artifacts.http.transfer import Wanted
from nixgen.artifacts.model import ArtifactSpec, PinnedArtifact, PinnedFile
from nixgen.artifacts.sources.answers import count, mapping, sequence, text
from nixgen.artifacts.sources.context import Context
from nixgen.artifacts.sources.paths import chosen
from nixgen.artifacts.sources.pinning import pinned
from nixgen.artifacts.store import store_name
from nixgen.errors import MachineError, NixgenError, UserError
from nixgen.machine.addresses import confidential, loopback, origin
from nixgen.machine.download import Headers, basic
from nixgen.registries import logins

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_NAMES = ("org.opencontainers.image.title", "org.cncf.model.filepath")
_SOURCE = re.compile(
    r"(?://)?([\w.-]+(?::[0-9]+)?)/([a-z0-9._/-]+?)(?::([\w.-]+))?(?:@(sha256:[0-9a-f]{64}))?", re.ASCII
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CHALLENGE = re.compile(r'\b(\w+)="([^"]*)"', re.ASCII)
_REALMS = {"registry-1.docker.io": "auth.docker.io", "registry.gitlab.com": "gitlab.com"}
"""Registries whose tokens come from another host, which has their users' logins."""
_LARGEST = 4 << 20  # bytes of a manifest, as registries have it


@dataclass(frozen=True, slots=True)
class Reference:
    """A place in a registry: ``by`` is a tag or a digest."""

    host: str
    name: str
    by: str

    @classmethod
    def of(cls, source: str) -> Reference:
        """What a source names; a source without a tag means "latest"."""
        found = _SOURCE.fullmatch(source.removeprefix("oci:"))
        if found is None:
            raise UserError.of(source, "is not an artifact in a registry", "write oci:HOST/NAME:TAG")
        host = "registry-1.docker.io" if found[1] == "docker.io" else found[1]
        return cls(host, found[2], found[4] or found[3] or "latest")

    def url(self, kind: str, by: str) -> str:
        """The address of a manifest or blob. A registry on this machine itself speaks plain HTTP."""
        plain = loopback(self.host.partition(":")[0])
        return f"{'http' if plain else 'https'}://{self.host}/v2/{self.name}/{kind}/{by}"


def resolve(spec: ArtifactSpec, previous: PinnedArtifact | None, context: Context) -> PinnedArtifact:
    """Pins the layers of the manifest that a tag means now."""
    del previous, context  # nothing is read but the manifest
    reference = Reference.of(spec.source)
    client = _client(reference, spec.where)
    manifest = _manifest(client, reference, spec.where)
    layers: dict[str, PinnedFile] = {}
    for layer in sequence(manifest.get("layers"), spec.where):
        file = _layer(mapping(layer, spec.where), spec.where)
        if layers.get(file.path, file) != file:
            raise UserError.of(spec.where, f"two layers have the name {file.path}", "tell its publisher")
        layers[file.path] = file
    picked = chosen(list(layers), spec.include, spec.exclude, spec.where, spec.source)
    return pinned(spec, [layers[path] for path in picked])


def fetch(artifact: PinnedArtifact, context: Context, missing: Iterable[PinnedFile]) -> dict[str, Path]:
    """Reads layers by their digests into the holder."""
    files = list(missing)
    reference = Reference.of(artifact.source)
    rows = [
        (
            Wanted(reference.url("blobs", f"sha256:{file.sha256}"), file.path, artifact.key, file.sha256, file.size),
            store_name(file.path),
        )
        for file in files
    ]
    found = context.read_all(rows, _client(reference, artifact.key), artifact.key)
    return {file.path: item.path for file, item in zip(files, found, strict=True) if item.path is not None}


def _manifest(client: Client, reference: Reference, where: str, *, inner: bool = False) -> Mapping[str, Any]:
    """The manifest of a tag or digest, compared with the digest; of an index the only one that it has."""
    with client.open(reference.url("manifests", reference.by), {"Accept": f"{MANIFEST}, {_INDEX}"}) as answer:
        body = answer.whole(_LARGEST)
        promised = answer.header("Docker-Content-Digest")
    found = f"sha256:{hashlib.sha256(body).hexdigest()}"
    asked = reference.by if reference.by.startswith("sha256:") else None
    for digest in (asked, promised):
        if digest and digest.startswith("sha256:") and digest != found:
            what = f"the registry was asked for the manifest {digest}, and gave {found}"
            raise MachineError.of(where, what, "nothing was pinned; try again later")
    try:
        manifest = mapping(parsed(body), where)
    except ValueError:
        raise MachineError.of(where, "the registry's manifest is cut off or is not JSON", "try again") from None
    if "manifests" in manifest:
        rows = sequence(manifest["manifests"], where)
        if len(rows) != 1 or inner:
            mend = "choose one by its digest: oci:HOST/NAME@sha256:DIGEST"
            what = "an index of indexes" if inner else f"an index of {len(rows)} manifests"
            raise UserError.of(where, f"{reference.name} is {what}", mend)
        digest = text(mapping(rows[0], where), "digest", where)
        if not _DIGEST.fullmatch(digest):
            raise UserError.of(where, f"its index names {digest!a}, which is not a sha256", "use another source")
        return _manifest(client, replace(reference, by=digest), where, inner=True)
    return manifest


def _layer(layer: Mapping[str, Any], where: str) -> PinnedFile:
    digest = text(layer, "digest", where)
    if not _DIGEST.fullmatch(digest):
        raise UserError.of(
            where, f"has a layer with the digest {digest!a}, which is not a sha256", "use another source"
        )
    sha256 = digest.removeprefix("sha256:")
    notes = layer.get("annotations")
    notes = notes if isinstance(notes, dict) else {}
    name = next((notes[key] for key in _NAMES if isinstance(notes.get(key), str)), None)
    if name is None:
        # application/vnd.kitops.modelkit.model.v1.tar+gzip: a part of a ModelKit.
        media = text(layer, "mediaType", where)
        kind = re.search(r"\.(\w+)\.v\d+\.tar", media)
        ending = ".tar" + {"gzip": ".gz", "zstd": ".zst"}.get(media.rpartition("+")[2], "") if ".tar" in media else ""
        name = f"{kind[1] if kind else 'layer'}-{sha256[:12]}{ending}"
    return PinnedFile(name, count(layer, "size", where), sha256)


def _client(reference: Reference, where: str) -> Client:
    """A client with the registry's token (distribution spec, "token authentication"): anonymous, or by a login."""
    address = reference.url("manifests", reference.by)
    challenge: list[str] = []

    def refused(status: int, headers: Headers) -> NixgenError | None:
        challenge.append(headers.get("WWW-Authenticate") or "")
        return _sentence(reference, where, status)

    first = Client(address, None, refused)
    try:
        with first.open(address, {"Accept": f"{MANIFEST}, {_INDEX}"}, method="HEAD"):
            return Client(address, None, lambda status, _: _sentence(reference, where, status))
    except NixgenError:
        if challenge and challenge[0].startswith("Basic ") and (header := _login(reference)):
            return Client(address, None, lambda status, _: _sentence(reference, where, status), _only(address, header))
        if not challenge or not challenge[0].startswith("Bearer "):
            raise
    given = dict(_CHALLENGE.findall(challenge[0]))
    realm = given.get("realm", "")
    odd = f"the registry {reference.host} sends for its token to an odd address"
    try:
        parts, here = urlsplit(realm), origin(realm)
    except ValueError:
        raise MachineError.of(where, odd, "tell its host") from None
    if not parts.hostname or not confidential(realm):
        raise MachineError.of(where, odd, "tell its host")
    # A login goes to where the registry's users have it; a foreign host is asked as anybody. What for is not the
    # registry's to say, which could use the token elsewhere.
    own = here == origin(address) or here == ("https", _REALMS.get(reference.host), 443)
    asked = {"service": given["service"]} if "service" in given else {}
    asked["scope"] = f"repository:{reference.name}:pull"
    query = "&".join(filter(None, (parts.query, urlencode(asked))))
    header = _login(reference) if own else None
    known = _only(realm, header) if header else None
    answer, _ = Client(realm if own else address, logins=known).json(parts._replace(query=query).geturl())
    table = mapping(answer, where)
    token = table.get("token") or text(table, "access_token", where)
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise MachineError.of(where, f"the registry {reference.host} gave no token that can be used", "tell its host")
    return Client(address, token, lambda status, _: _sentence(reference, where, status))


def _login(reference: Reference) -> str | None:
    """What Docker's and Podman's files have for it, as the header Authorization; netrc is asked behind them."""
    found = logins.login(reference.host, reference.name)
    return basic(found.user, found.password) if found is not None and not found.identity else None


def _only(place: str, header: str) -> Callable[[str], str | None]:
    """A login for one origin."""
    return lambda url: header if origin(url) == origin(place) else None


def _sentence(reference: Reference, where: str, status: int) -> NixgenError | None:
    if status in (401, 403, 404):
        host = _REALMS.get(reference.host, reference.host)
        mend = f"check the name; for a private one log in (podman login), or put a login for {host} into the netrc file"
        what = f"the registry {reference.host} has no {reference.name} at {reference.by}, or it is private"
        return UserError.of(where, what, mend)
    return None
