"""``github:OWNER/REPO@TAG/ASSET``: a file of a release, by the digest that the release gives (GitHub REST API)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from nixgen.artifacts.http.client import Client
from nixgen.artifacts.model import ArtifactSpec, PinnedArtifact, PinnedFile
from nixgen.artifacts.sources import https
from nixgen.artifacts.sources.answers import count, hexadecimal, is_hexadecimal, mapping, sequence, text
from nixgen.artifacts.sources.context import Context
from nixgen.artifacts.sources.paths import check
from nixgen.artifacts.sources.pinning import pinned
from nixgen.errors import MachineError, NixgenError, UserError
from nixgen.machine.download import Headers

API = "https://api.github.com"
_HEADERS = {"X-GitHub-Api-Version": "2022-11-28"}
_SHOWN = 5


def resolve(spec: ArtifactSpec, previous: PinnedArtifact | None, context: Context) -> PinnedArtifact:
    """Pins an asset at the commit of its tag. Releases from before GitHub gave digests are read and hashed."""
    del previous  # a release's assets can be replaced
    repo, _, rest = spec.source.removeprefix("github:").partition("@")
    tag, _, asset = rest.rpartition("/")
    api = f"{os.environ.get('GITHUB_API_URL') or API}/repos/{repo}".replace("//repos", "/repos")
    client = Client(api, _token(), lambda status, headers: _refused(spec, repo, tag, status, headers))
    answer, _ = client.json(f"{api}/releases/tags/{quote(tag)}", _HEADERS)
    whose = f"{spec.where}: {repo}@{tag}"
    release = mapping(answer, whose)
    rows = [mapping(row, whose) for row in sequence(release.get("assets"), whose)]
    found = [row for row in rows if row.get("name") == asset]
    if len(found) != 1:
        names = sorted(name for row in rows if isinstance(name := row.get("name"), str))
        shown = ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
        raise UserError.of(spec.where, f"the release {tag} of {repo} has no file {asset}", f"it has: {shown or 'none'}")
    check([asset], spec.where, repo)
    row = found[0]
    size, url = count(row, "size", whose), text(row, "browser_download_url", whose)
    kind, _, digest = str(row.get("digest") or "").partition(":")
    if kind == "sha256" and is_hexadecimal(digest, 64):
        file = PinnedFile(asset, size, digest, url)
    else:
        file = https.read_one(spec, url, asset, context, size=size)
    commit, _ = client.json(f"{api}/commits/{quote(tag)}", _HEADERS)
    return pinned(spec, [file], commit=hexadecimal(mapping(commit, whose), "sha", 40, whose))


def fetch(artifact: PinnedArtifact, context: Context, missing: Iterable[PinnedFile]) -> dict[str, Path]:
    """Reads the pinned file into the holder."""
    return https.fetch(artifact, context, missing)


def _token() -> str | None:
    """The token that GitHub's own program takes; without one an address may ask 60 times an hour."""
    return (os.environ.get("GH_TOKEN") or os.environ.get("GITHUB_TOKEN") or "").strip() or None


def _refused(spec: ArtifactSpec, repo: str, tag: str, status: int, headers: Headers) -> NixgenError | None:
    if status == 404:  # noqa: PLR2004 -- Not Found
        mend = "check the names; for a private one set GH_TOKEN"
        return UserError.of(spec.where, f"GitHub has no release {tag} of {repo}, or it is private", mend)
    if status in (403, 429) and headers.get("X-RateLimit-Remaining") == "0":
        return MachineError.of(spec.where, "GitHub's rate limit is reached", "set GH_TOKEN, or wait an hour")
    return None
