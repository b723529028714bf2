"""``hf:`` models, datasets and spaces of the Hugging Face hub (https://huggingface.co/docs/hub/api).

Three calls are needed: what a revision is, what a commit holds, and a file. What a branch or tag means is asked once;
all that follows goes by the full commit. Files in LFS or Xet storage come with their SHA-256. The others are in git,
and small: they are read, compared with their blob id, and hashed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nixgen.artifacts.http.client import Answer, Client
from nixgen.artifacts.http.transfer import Wanted
from nixgen.artifacts.model import ArtifactSpec, PinnedArtifact, PinnedFile, RepoType
from nixgen.artifacts.sources import hftoken
from nixgen.artifacts.sources.answers import count, hexadecimal, is_hexadecimal, mapping, sequence, text
from nixgen.artifacts.sources.context import Context
from nixgen.artifacts.sources.hfcard import code_repos, licence
from nixgen.artifacts.sources.paths import chosen
from nixgen.artifacts.store import Folder, store_name
from nixgen.console import console
from nixgen.errors import MachineError, NixgenError, UserError
from nixgen.machine.addresses import confidential
from nixgen.machine.download import Headers

_TYPES: Mapping[str, RepoType] = {"models": "model", "datasets": "dataset", "spaces": "space"}
_LARGEST_CONFIG = 1 << 20  # bytes
_LARGEST_LISTING = 120 << 20  # bytes of memory
_ENTRY = 500  # of it, that a file takes besides its path
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Repo:
    """A repo on a hub. ``name`` is "org/name", or "name" alone for the oldest ones."""

    endpoint: str
    kind: RepoType
    name: str

    @classmethod
    def of(cls, source: str, endpoint: str | None = None) -> Repo:
        """The repo that a source names: hf:ORG/NAME, hf:datasets/ORG/NAME, hf:spaces/ORG/NAME."""
        name = source.removeprefix("hf:").removeprefix("//")
        head, slash, rest = name.partition("/")
        kind = _TYPES.get(head) if slash else None
        return cls(endpoint or hftoken.endpoint(), kind or "model", rest if kind else name)

    @property
    def page(self) -> str:
        """Where people read about it, and agree to its licence."""
        return f"{self.endpoint}/{self._prefix}{self.name}"

    def api(self, rest: str) -> str:
        """An address of the hub's interface for this repo."""
        return f"{self.endpoint}/api/{self.kind}s/{self.name}/{rest}"

    def file(self, commit: str, path: str) -> str:
        """The address of one file at a commit."""
        return f"{self.page}/resolve/{commit}/{quote(path)}"

    @property
    def _prefix(self) -> str:
        return "" if self.kind == "model" else f"{self.kind}s/"


@dataclass(frozen=True, slots=True)
class _Entry:
    """One file of a listing: ``sha256`` is None for what is only in git, and has the blob id there."""

    path: str
    size: int
    blob: str
    sha256: str | None


def resolve(spec: ArtifactSpec, previous: PinnedArtifact | None, context: Context) -> PinnedArtifact:
    """Pins a repo at the commit that its revision means now. Of the ``previous`` pin's commit no file is read again.

    Raises UserError for a repo, revision or permission that is not there and for files that cannot be used, and
    MachineError when the hub cannot be asked or contradicts itself.
    """
    repo = Repo.of(spec.source, spec.endpoint)
    asked = spec.revision or "main"
    client = _client(repo, spec.name, spec.where, asked, context.command)
    info = _info(client, repo, asked, spec.where)
    commit = hexadecimal(info, "sha", 40, f"{spec.where}: {repo.page}")
    if is_hexadecimal(asked, 40) and commit != asked:
        raise _contradiction(spec.where, repo, f"was asked for the commit {asked}, and answered with {commit}")
    entries = _listing(client, repo, commit, spec.where)
    _complete(info, entries, repo, spec.where)
    paths = chosen(list(entries), spec.include, spec.exclude, spec.where, repo.name)
    kept = set(previous.extra_repos) if previous and previous.commit == commit else set[str]()
    before = _pinned(previous, repo, commit)
    known = [_known(client, repo, commit, before.get(path) or entries[path], spec.where) for path in paths]
    small = [entry for entry in known if not entry.sha256]
    hashed, code = _read_small(client, repo, commit, small, spec, context)
    files = tuple(
        PinnedFile(entry.path, entry.size, entry.sha256 or hashed[entry.path], repo.file(commit, entry.path))
        for entry in known
    )
    return PinnedArtifact(
        kind=spec.kind,
        name=spec.name,
        source=spec.source,
        scheme="hf",
        files=files,
        layout=spec.layout,
        revision=spec.revision,
        commit=commit,
        repo=repo.name,
        repo_type=repo.kind,
        include=spec.include,
        exclude=spec.exclude,
        format=spec.format,
        endpoint=spec.endpoint,
        licence=licence(info),
        gated=bool(info.get("gated")) or info.get("private") is True,
        extra_repos=tuple(sorted((code | kept) - {repo.name})),
    )


def fetch(artifact: PinnedArtifact, context: Context, missing: Iterable[PinnedFile]) -> dict[str, Path]:
    """Reads the pinned files into the holder; where each is now."""
    files = list(missing)
    repo = Repo.of(artifact.source, artifact.endpoint)
    client = _client(repo, artifact.name, artifact.key, artifact.commit or "", context.command)
    rows = [
        (Wanted(str(file.url), file.path, artifact.key, file.sha256, file.size), store_name(file.path))
        for file in files
    ]
    found = context.read_all(rows, client, artifact.key)
    return {file.path: item.path for file, item in zip(files, found, strict=True) if item.path is not None}


def _info(client: Client, repo: Repo, revision: str, where: str) -> Mapping[str, Any]:
    answer, _ = client.json(repo.api(f"revision/{quote(revision, safe='')}"))
    info = mapping(answer, f"{where}: {repo.page}")
    name = info.get("id", repo.name)
    if isinstance(name, str) and name.lower() != repo.name.lower():
        console.warn(f"{where}: the hub now calls {repo.name} by the name {ascii(name)[1:-1]}; both names work")
    return info


def _listing(client: Client, repo: Repo, commit: str, where: str) -> dict[str, _Entry]:
    """All files of a commit, over as many pages as the listing has."""
    whose = f"{where}: {repo.page}"
    found: dict[str, _Entry] = {}
    left = _LARGEST_LISTING
    for page in client.pages(repo.api(f"tree/{commit}?recursive=true&expand=false")):
        for item in sequence(page, whose):
            row = mapping(item, whose)
            if row.get("type") != "file":
                continue
            entry = _entry(row, whose)
            left -= _ENTRY + 4 * len(entry.path)
            if left < 0:
                mend = "take a smaller one; the hub itself advises against more than 100,000 files"
                raise UserError.of(where, f"{repo.name} has more than {len(found):,} files, too many to pin", mend)
            if entry.path in found:
                raise _contradiction(where, repo, f"lists {entry.path!a} twice")
            found[entry.path] = entry
    return found


def _entry(row: Mapping[str, Any], whose: str) -> _Entry:
    path, size = text(row, "path", whose), count(row, "size", whose)
    whose = f"{whose}: {ascii(path)[1:-1]}"
    blob = hexadecimal(row, "oid", 40, whose)
    lfs = row.get("lfs")
    if lfs is None:
        return _Entry(path, size, blob, "" if row.get("xetHash") else None)
    # The tree calls it oid, the revision's own listing sha256: the same SHA-256 of the content.
    lfs = mapping(lfs, whose)
    sha256 = hexadecimal(lfs, "oid" if "oid" in lfs else "sha256", 64, whose)
    if count(lfs, "size", whose) != size:
        raise MachineError.of(whose, f"the hub says {size} bytes and {lfs['size']} bytes", "nothing was pinned")
    return _Entry(path, size, blob, sha256)


def _complete(info: Mapping[str, Any], entries: Mapping[str, _Entry], repo: Repo, where: str) -> None:
    """The revision's own answer names every file, too: a listing without one of them lacks a page."""
    named = [row.get("rfilename") for row in info.get("siblings") or () if isinstance(row, dict)]
    lost = [name for name in named if name not in entries]
    if lost:
        some = ", ".join(ascii(name)[1:-1] for name in lost[:_SHOWN]) + (" …" if len(lost) > _SHOWN else "")
        raise _contradiction(where, repo, f"gave only a part of its listing; {len(lost)} files are not in it: {some}")


def _pinned(previous: PinnedArtifact | None, repo: Repo, commit: str) -> dict[str, _Entry]:
    """What is pinned of this very commit: it cannot have changed."""
    if previous is None or (previous.commit, previous.repo, previous.repo_type) != (commit, repo.name, repo.kind):
        return {}
    return {file.path: _Entry(file.path, file.size, "", file.sha256) for file in previous.files}


def _known(client: Client, repo: Repo, commit: str, entry: _Entry, where: str) -> _Entry:
    """The entry with its SHA-256 where the storage knows it. Xet files without LFS details are asked for one by one."""
    if entry.sha256 != "":
        return entry
    whose = f"{where}: {repo.page}: {entry.path}"
    with client.open(repo.file(commit, entry.path), method="HEAD") as answer:
        headers = {"etag": (answer.header("X-Linked-Etag") or "").strip('"'), "size": answer.header("X-Linked-Size")}
        _same_commit(answer, commit, where, repo)
    sha256 = hexadecimal(headers, "etag", 64, whose)
    if headers["size"] != str(entry.size):
        raise MachineError.of(
            whose, f"the hub says {entry.size} bytes and {headers['size']} bytes", "nothing was pinned"
        )
    return replace(entry, sha256=sha256)


def _read_small(
    client: Client, repo: Repo, commit: str, entries: list[_Entry], spec: ArtifactSpec, context: Context
) -> tuple[dict[str, str], set[str]]:
    """The SHA-256 of each file that is only in git, and the repos that the model's code comes from."""

    def right(answer: Answer) -> None:
        _same_commit(answer, commit, spec.where, repo)

    def wanted(entry: _Entry) -> tuple[Wanted, str]:
        where = spec.where
        address = repo.file(commit, entry.path)
        return Wanted(address, entry.path, where, None, entry.size, entry.blob, {}, right), store_name(entry.path)

    configs = [entry for entry in entries if entry.path.endswith("config.json") and entry.size <= _LARGEST_CONFIG]
    others = [entry for entry in entries if entry not in configs]
    code: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="nixgen-") as spare:
        keeps = context if context.holder else replace(context, holder=Folder(Path(spare)))

        def look(path: Path) -> None:
            code.update(code_repos(path.read_bytes()))

        found = keeps.read_all([wanted(entry) for entry in configs], client, spec.key, look)
    found += context.read_all([wanted(entry) for entry in others], client, spec.key)
    return {entry.path: item.sha256 for entry, item in zip(configs + others, found, strict=True)}, code


def _client(repo: Repo, name: str, where: str, revision: str, command: str) -> Client:
    token = hftoken.token() if hftoken.trusted(repo.endpoint) and confidential(repo.endpoint) else None

    def refused(status: int, headers: Headers) -> NixgenError | None:
        code = headers.get("X-Error-Code") or ""
        kind = f"the {repo.kind} {repo.name}"
        again = f"{command} {name}" if command.endswith(" fetch") else command
        have = "log in as an account that has access (hf auth login, or set HF_TOKEN)"
        if not confidential(repo.endpoint):
            have = "use the hub's https address, as no token is sent over http"
        elif not hftoken.trusted(repo.endpoint):
            have = f"set HF_ENDPOINT={repo.endpoint} and HF_TOKEN yourself, as no token follows what models.toml says"
        if code == "GatedRepo" or (status == 403 and token):  # noqa: PLR2004 -- Forbidden
            mine = (
                ", and your token's account may not read it"
                if token
                else ": only accounts that were given access read it"
            )
            return UserError.of(
                where,
                f"{kind} is gated{mine}",
                f"agree to its licence at {repo.page}, {have}, and run: {again}",
            )
        if code == "RevisionNotFound":
            return UserError.of(
                where,
                f"{kind} has no revision {revision} (any more)",
                f"choose another in models.toml; they are listed at {repo.page}/commits/main",
            )
        if code == "EntryNotFound":
            return UserError.of(
                where, f"{kind} has not that file at {revision} (any more)", "run: nixgen lock --upgrade"
            )
        if code == "RepoNotFound" or status in (401, 403, 404):
            what = f"{kind} cannot be read ({status}): it is gone, private or gated"
            mend = (
                f"if it is gone, take another source in models.toml (its page was {repo.page}); if it is private, "
                f"{have}; if it is gated, agree to its licence there, too; then run: {again}"
            )
            return UserError.of(where, what, mend)
        return None

    return Client(repo.endpoint, token, refused)


def _same_commit(answer: Answer, commit: str, where: str, repo: Repo) -> None:
    given = answer.header("X-Repo-Commit")
    if given not in (None, commit):
        raise _contradiction(where, repo, f"was asked for a file of the commit {commit}, and gave one of {given!a}")


def _contradiction(where: str, repo: Repo, what: str) -> MachineError:
    return MachineError.of(
        where, f"the hub at {repo.endpoint} {what} ({repo.name})", "nothing was pinned; try again later"
    )
