"""A double of the Hugging Face hub on loopback. It says that it is one: every answer has ``X-Hub-Double: 1``.

It speaks the parts of the hub's interface that clients use to read repos, as huggingface_hub's documentation and what
the hub itself answers have them: revision info (with ``blobs``), the tree in pages, paths-info, refs, and ``resolve``
with redirects, ETag and X-Linked headers, LFS and Xet files on another host, gated and private repos, rate limits and
ranges. It does not speak the Xet protocol: clients need HF_HUB_DISABLE_XET=1, or read by HTTP anyway.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, unquote, urlsplit

from support.loopback import Asked, Reply, listen, ranged

__all__ = ["Asked", "Big", "Content", "Files", "Hub", "Reply", "Repo", "blob_id", "serve"]
KINDS = {"models": "model", "datasets": "dataset", "spaces": "space"}
PREFIX = {"model": "", "dataset": "datasets/", "space": "spaces/"}


@dataclass(frozen=True)
class Big:
    """A file in LFS storage, or with ``xet`` in Xet storage. ``declared`` is a size whose content nobody will read."""

    content: bytes = b""
    xet: bool = False
    declared: tuple[int, str] | None = None

    @cached_property
    def size(self) -> int:
        return self.declared[0] if self.declared else len(self.content)

    @cached_property
    def sha256(self) -> str:
        return self.declared[1] if self.declared else hashlib.sha256(self.content).hexdigest()

    @property
    def pointer(self) -> bytes:
        """What git holds instead (git-lfs, "Specification")."""
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {self.size}\n".encode()


Content = bytes | Big
Files = Mapping[str, Content]


@dataclass
class Repo:
    """A repo: ``refs`` maps branches and tags to commits, ``commits`` each commit to its files."""

    name: str
    kind: str = "model"
    refs: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Files] = field(default_factory=dict)
    gated: str | bool = False
    private: bool = False
    card: dict[str, Any] = field(default_factory=dict)

    def commit(self, files: Files, *, branch: str = "main", tag: str | None = None) -> str:
        """Adds a commit and moves a branch to it, and a tag; the commit's id."""
        rows = [f"{path} {blob_id(pointer(content))}" for path, content in sorted(files.items())]
        made = hashlib.sha1(
            "\n".join([self.name, str(len(self.commits)), *rows]).encode("utf-8", "replace")
        ).hexdigest()
        self.commits[made] = dict(files)
        self.refs[branch] = made
        if tag:
            self.refs[tag] = made
        return made

    def find(self, revision: str) -> str | None:
        """The commit that a branch, a tag, or a commit's start means."""
        if revision in self.refs:
            return self.refs[revision]
        if not re.fullmatch(r"[0-9a-f]{5,40}", revision):
            return None
        return next((commit for commit in self.commits if commit.startswith(revision)), None)


@dataclass
class Hub:
    """A running hub. ``tokens`` maps a token to the repos that it may read; ``page`` is the tree's page size.

    ``renamed`` maps old names to new ones. ``tamper`` sees each request and its answer and may change the answer.
    ``asked`` are the requests so far. ``busy`` many requests from now on are answered with 429.
    """

    page: int = 1000
    tokens: dict[str, set[str]] = field(default_factory=dict)
    repos: dict[tuple[str, str], Repo] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    tamper: Callable[[Asked, Reply], Reply | None] | None = None
    asked: list[Asked] = field(default_factory=list)
    busy: int = 0
    retry_after: str = "0"
    endpoint: str = ""
    cdn: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def repo(self, name: str, files: Files | None = None, kind: str = "model", **options: Any) -> Repo:
        """A new repo, with one commit where ``files`` are given."""
        made = self.repos[kind, name] = Repo(name, kind, **options)
        if files is not None:
            made.commit(files)
        return made

    def targets(self, host: str = "hub") -> list[str]:
        """The paths that were asked for, in order."""
        return [asked.path for asked in self.asked if asked.host == host]

    def answer(self, asked: Asked, body: bytes) -> Reply:
        """What is answered to a request."""
        with self.lock:
            self.asked.append(asked)
            if self.busy and asked.host == "hub":
                self.busy -= 1
                limit = {"Retry-After": self.retry_after, "RateLimit": f'"api";r=0;t={self.retry_after}'}
                return Reply(429, limit | {"RateLimit-Policy": '"fixed window";"api";q=500;w=300'})
        reply = self._stored(asked) if asked.host == "cdn" else self._hub(asked, body)
        reply.headers["X-Hub-Double"] = "1"
        return (self.tamper(asked, reply) if self.tamper else None) or reply

    def _stored(self, asked: Asked) -> Reply:
        digest = asked.path.rpartition("/")[2]
        for repo in self.repos.values():
            for files in repo.commits.values():
                for content in files.values():
                    if isinstance(content, Big) and content.sha256 == digest:
                        return ranged(asked, content.content, {"ETag": f'"{hashlib.md5(content.content).hexdigest()}"'})
        return Reply(403)

    def _hub(self, asked: Asked, body: bytes) -> Reply:
        parts = asked.path.strip("/").split("/")
        for old, new in self.renamed.items():
            if f"/{old}/" in asked.path:
                return Reply(307, {"Location": asked.target.replace(old, new)})
        if parts[:1] == ["api"] and len(parts) > 2 and parts[1] in KINDS:
            return self._api(asked, KINDS[parts[1]], parts[2:], body)
        kind = KINDS.get(parts[0], "model")
        rest = parts[1:] if parts[0] in KINDS else parts
        for length in (2, 1):
            if len(rest) > length + 2 and rest[length] == "resolve" and (kind, "/".join(rest[:length])) in self.repos:
                return self._resolve(asked, kind, "/".join(rest[:length]), rest[length + 1 :])
        return self._absent(asked)

    def _api(self, asked: Asked, kind: str, rest: list[str], body: bytes) -> Reply:
        name, verb = next(
            (
                ("/".join(rest[:length]), rest[length:])
                for length in (2, 1)
                if (kind, "/".join(rest[:length])) in self.repos
            ),
            ("", []),
        )
        repo = self.repos.get((kind, name))
        if repo is None or (repo.private and not self._may(asked, repo)):
            return self._absent(asked)
        if verb[:1] == ["refs"]:
            return Reply.json({"branches": [{"name": n, "ref": n, "targetCommit": c} for n, c in repo.refs.items()]})
        # A revision is one part of the address, its slashes quoted.
        raw = urlsplit(asked.target).path.strip("/").split("/")
        revision = unquote(raw[raw.index(verb[0]) + 1]) if verb[1:] else "main"
        commit = repo.find(revision)
        if commit is None:
            return Reply.error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if not verb or verb[0] == "revision":
            return self._info(asked, repo, commit)
        if verb[0] == "tree":
            return self._tree(asked, repo, commit, "/".join(verb[1 + revision.count("/") + 1 :]))
        return self._paths_info(asked, repo, commit, body)

    def _info(self, asked: Asked, repo: Repo, commit: str) -> Reply:
        blobs = dict(parse_qsl(urlsplit(asked.target).query)).get("blobs", "").lower() == "true"
        siblings: list[dict[str, Any]] = []
        for path, content in repo.commits[commit].items():
            row: dict[str, Any] = {"rfilename": path}
            if blobs:
                row |= {"size": size(content), "blobId": blob_id(pointer(content))}
            if blobs and isinstance(content, Big):
                row["lfs"] = {"size": content.size, "sha256": content.sha256, "pointerSize": len(content.pointer)}
            siblings.append(row)
        tags = [f"license:{repo.card['license']}"] if isinstance(repo.card.get("license"), str) else []
        return Reply.json(
            {
                "_id": hashlib.md5(repo.name.encode()).hexdigest()[:24],
                "id": repo.name,
                "modelId": repo.name,
                "author": repo.name.split("/")[0],
                "sha": commit,
                "lastModified": "2024-07-31T12:00:00.000Z",
                "createdAt": "2024-07-01T12:00:00.000Z",
                "private": repo.private,
                "gated": repo.gated,
                "disabled": False,
                "downloads": 1,
                "likes": 0,
                "tags": tags,
                "cardData": repo.card,
                "siblings": siblings,
            },
            **{"X-Repo-Commit": commit},
        )

    def _tree(self, asked: Asked, repo: Repo, commit: str, below: str) -> Reply:
        query = {key: values[-1] for key, values in parse_qs(urlsplit(asked.target).query).items()}
        recursive = query.get("recursive", "").lower() in ("true", "1")
        expand = query.get("expand", "").lower() in ("true", "1")
        limit = min(int(query.get("limit", self.page)), 50 if expand else self.page)
        rows = [
            row
            for row in tree_rows(repo.commits[commit], expand=expand)
            if _under(row["path"], below, recursive=recursive)
        ]
        if below and not rows:
            return Reply.error(404, "EntryNotFound", f"{below} does not exist on {commit}")
        start = int(query.get("cursor", 0))
        headers = {"X-Repo-Commit": commit}
        if start + limit < len(rows):
            again = f"recursive={query.get('recursive', 'False')}&expand={query.get('expand', 'False')}"
            address = f"{self.endpoint}{urlsplit(asked.target).path}?{again}&limit={limit}&cursor={start + limit}"
            headers["Link"] = f'<{address}>; rel="next"'
        return Reply.json(rows[start : start + limit], **headers)

    def _paths_info(self, asked: Asked, repo: Repo, commit: str, body: bytes) -> Reply:
        if "json" in asked.headers.get("Content-Type", ""):
            given = json.loads(body)
            paths, expand = given["paths"], bool(given.get("expand"))
        else:
            form = parse_qs(body.decode())
            paths, expand = form.get("paths", []), form.get("expand", ["false"])[0].lower() == "true"
        rows = tree_rows(repo.commits[commit], expand=expand)
        return Reply.json([row for row in rows if row["path"] in paths])

    def _resolve(self, asked: Asked, kind: str, name: str, rest: list[str]) -> Reply:
        repo = self.repos[kind, name]
        if repo.private and not self._may(asked, repo):
            return self._absent(asked)
        if repo.gated and not self._may(asked, repo):
            message = (
                f"Access to {kind} {name} is restricted. You must have access to it and be authenticated to access it."
            )
            return Reply.error(403 if asked.token else 401, "GatedRepo", message)
        raw = urlsplit(asked.target).path.strip("/").split("/")
        revision = unquote(raw[raw.index("resolve") + 1])
        commit = repo.find(revision)
        if commit is None:
            return Reply.error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        path = "/".join(rest[revision.count("/") + 1 :])
        content = repo.commits[commit].get(path)
        if content is None:
            return Reply.error(404, "EntryNotFound", "Entry not found")
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes", "Vary": "Origin, Accept"}
        if isinstance(content, bytes):
            return ranged(asked, content, headers | {"ETag": f'"{blob_id(content)}"'})
        headers |= {"X-Linked-Size": str(content.size), "X-Linked-Etag": f'"{content.sha256}"'}
        if content.xet:
            route = f"{self.endpoint}/api/{kind}s/{name}/xet-read-token/{commit}"
            headers |= {"X-Xet-Hash": xet_hash(content), "Link": f'<{route}>; rel="xet-auth"'}
        store = "xet" if content.xet else "lfs"
        headers["Location"] = f"{self.cdn}/{store}/{content.sha256}?Expires=1&Signature={quote(name, safe='')}"
        return Reply(302, headers, b"Found. Redirecting")

    def _may(self, asked: Asked, repo: Repo) -> bool:
        return repo.name in self.tokens.get((asked.token or "").removeprefix("Bearer "), set())

    def _absent(self, asked: Asked) -> Reply:
        """A repo that is not there, or not for this reader: the hub tells one from the other to nobody."""
        if asked.token and asked.token.removeprefix("Bearer ") in self.tokens:
            return Reply.error(404, "RepoNotFound", "Repository not found")
        return Reply.error(401, "RepoNotFound" if not asked.token else "", "Invalid username or password.")


@contextmanager
def serve(hub: Hub | None = None) -> Iterator[Hub]:
    """Runs a hub and its storage host, on two free ports of 127.0.0.1, while the context is open."""
    hub = hub or Hub()
    with listen(hub.answer, "hub") as hub.endpoint, listen(hub.answer, "cdn") as hub.cdn:
        yield hub


def blob_id(content: bytes) -> str:
    """git's id of a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def pointer(content: Content) -> bytes:
    """What git holds of a file."""
    return content.pointer if isinstance(content, Big) else content


def size(content: Content) -> int:
    """A file's size in bytes."""
    return content.size if isinstance(content, Big) else len(content)


def xet_hash(content: Big) -> str:
    """64 digits where the hub gives the Xet hash, which is computed in another way."""
    return hashlib.sha256(b"xet" + content.sha256.encode()).hexdigest()


def tree_rows(files: Files, *, expand: bool) -> list[dict[str, Any]]:
    """The rows of the whole tree: folders first, as the hub has them."""
    folders = {path.rsplit("/", depth)[0] for path in files for depth in range(1, path.count("/") + 1)}
    rows: list[dict[str, Any]] = [
        {
            "type": "directory",
            "oid": hashlib.sha1(folder.encode("utf-8", "replace")).hexdigest(),
            "size": 0,
            "path": folder,
        }
        for folder in sorted(folders)
    ]
    for path, content in sorted(files.items()):
        row: dict[str, Any] = {"type": "file", "oid": blob_id(pointer(content)), "size": size(content), "path": path}
        if isinstance(content, Big):
            row["lfs"] = {"oid": content.sha256, "size": content.size, "pointerSize": len(content.pointer)}
            if content.xet:
                row["xetHash"] = xet_hash(content)
        rows.append(row)
    if expand:
        last = {"id": "0" * 40, "title": "Upload", "date": "2024-07-31T12:00:00.000Z"}
        safe = {"status": "safe", "avScan": {"virusFound": False}, "pickleImportScan": None}
        rows = [row | {"lastCommit": last, "securityFileStatus": safe} for row in rows]
    return rows


def _under(path: str, below: str, *, recursive: bool) -> bool:
    rest = path.removeprefix(f"{below}/") if below else path
    return (not below or path.startswith(f"{below}/")) and (recursive or "/" not in rest)
