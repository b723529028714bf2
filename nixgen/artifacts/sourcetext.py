"""What a source in models.toml may look like, for each kind: told when it is read, long before the network is asked."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from nixgen.artifacts.model import SCHEMES, Scheme
from nixgen.artifacts.paths import path_problem
from nixgen.errors import UserError
from nixgen.machine import addresses
from nixgen.registries.place import reference
from nixgen.registry.names import split_ref

KINDS = ", ".join(f"{scheme}:" for scheme in SCHEMES)
_REPO = re.compile(r"(?=.{1,96}$)(?:[\w.-]+/)?[\w.-]+", re.ASCII)
_GITHUB = re.compile(r"[\w.-]+/[\w.-]+@[^\s@?#]+/[^\s/@?#]+", re.ASCII)
_BUCKET = re.compile(r"//[A-Za-z0-9][A-Za-z0-9._-]{1,254}/[^\s?#]*")
_PACKAGE = re.compile(r"[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]")
_SHARED = "which would be written to shared files"
Fault = tuple[str, str]
"""What is wrong, and how to mend it."""


def source_fault(source: str, *, pinned: bool) -> Fault | None:
    """What is wrong with a source, None when nothing is. ``pinned`` says that its sha256 stands beside it."""
    if not source:
        return "is empty", f"say where it comes from: {KINDS} or a path in the project"
    if re.search(r"[\x00-\x1f\x7f]", source) or source != source.strip():
        return "has white space around it or a control character in it", "take it out"
    head, colon, rest = source.partition(":")
    if not colon or "/" in head:
        return _path(source)
    if head == "http":
        return _http(source, pinned=pinned)
    reader = _READERS.get(head)
    if reader is None:
        return _unknown(head)
    return reader(source if head == "https" else rest)


def _unknown(head: str) -> Fault:
    near = difflib.get_close_matches(head.lower(), SCHEMES, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}:? " if near else ""
    return f'"{head}:" is not a kind of source', f"{hint}the kinds are {KINDS}; a path in the project needs none"


def address_fault(url: str) -> Fault | None:
    """What is wrong with an http or https address: credentials in it, no host, white space."""
    try:
        parts = urlsplit(url)
        host, secret = parts.hostname, addresses.in_parts(parts)
        _ = parts.port
    except ValueError:
        return "is not an address", "write it like https://models.example.org/vad.onnx"
    if secret:
        mend = "use the address without it; for a login, ~/.netrc"
        if "@" in parts.netloc:
            mend = f"leave them out, and put them into ~/.netrc: machine {host or 'HOST'} login USER password SECRET"
        return f"has {secret} in it, {_SHARED}", mend
    if not host or re.search(r"[\s\"'\\<>`]", url):
        return "is not an address", "write it like https://models.example.org/vad.onnx"
    return None


def _http(source: str, *, pinned: bool) -> Fault | None:
    if not pinned and not addresses.loopback(urlsplit(source).hostname or ""):
        what = "is fetched without encryption: anybody on the network path could change it before it is pinned"
        return what, "write https:, or give its sha256"
    return _https(source)


def _https(source: str) -> Fault | None:
    fault = address_fault(source)
    if fault is None and not urlsplit(source).path.rpartition("/")[2]:
        return "names no file", "write the whole address, like https://models.example.org/vad.onnx"
    return fault


def _hf(rest: str) -> Fault | None:
    repo, at, revision = rest.partition("@")
    plain = repo.removeprefix("//")
    if at or plain != repo:
        mend = f'source = "hf:{plain}"' + (f', revision = "{revision}"' if at else "")
        return "has another form here", f"write {mend}"
    if not is_repo(re.sub(r"^(?:models|datasets|spaces)/", "", repo)):
        mend = "write hf:ORG/NAME, hf:datasets/ORG/NAME or hf:spaces/ORG/NAME"
        return "is not the name of a repo on the Hugging Face hub", mend
    return None


def is_repo(repo: str) -> bool:
    """Whether this is the name of a repo: the rules of huggingface_hub.utils.validate_repo_id."""
    return (
        _REPO.fullmatch(repo) is not None
        and not ("--" in repo or ".." in repo or repo.endswith(".git"))
        and all(part[0] not in "-." and part[-1] not in "-." for part in repo.split("/"))
    )


def _github(rest: str) -> Fault | None:
    if not _GITHUB.fullmatch(rest):
        return "is not the asset of a release on GitHub", "write github:OWNER/REPO@TAG/ASSET"
    return None


def _s3(rest: str) -> Fault | None:
    if "@" in rest.removeprefix("//").split("/")[0]:
        mend = "leave them out; the credentials come from where the AWS tools find them (AWS_PROFILE, ~/.aws)"
        return f"has credentials in it, {_SHARED}", mend
    if not _BUCKET.fullmatch(rest):
        return "is not an object or folder of a bucket", "write s3://BUCKET/KEY, or s3://BUCKET/FOLDER/"
    return None


def _file(rest: str) -> Fault | None:
    if rest.startswith("///"):
        return None if path_problem(rest.strip("/")) is None else ("is not a path", "write file:///folder/name")
    return _path(rest)


def _path(path: str) -> Fault | None:
    if path.startswith("/"):
        what = "is a path of this machine, which no teammate has"
        return what, f"move the file into the project, or say that it is meant: file://{path}"
    inside = path_problem(path.removeprefix("./").removesuffix("/"))
    if inside:
        return f"is not a path in the project: it {inside}", "write it relative to the project, like weights/vad.onnx"
    return None


def _archive(rest: str) -> Fault | None:
    if not _PACKAGE.fullmatch(rest):
        mend = "write archive:PACKAGE; for an archive elsewhere, its own source (https:, github:, s3:, a path)"
        return "is not the name of a package in uv.lock", mend
    return None


def _oci(rest: str) -> Fault | None:
    if "@" in rest and not rest.split("@", 1)[1].startswith("sha256:"):
        return "has credentials or another digest than sha256 in it", "write oci:HOST/NAME:TAG"
    try:
        reference(f"oci:{rest}")
    except UserError:
        return "is not an artifact in a registry", "write oci:HOST/NAME:TAG or oci:HOST/NAME@sha256:DIGEST"
    return None


def _registry(rest: str) -> Fault | None:
    try:
        split_ref(rest)
    except UserError as error:
        problem = error.problems[0]
        mend = "write registry:NAME@ALIAS or registry:NAME@1.2.0; of another project, registry:PROJECT/NAME@ALIAS"
        return f"is no model of a registry: {problem.where} {problem.what}", mend
    return None


_READERS: Mapping[str, Callable[[str], Fault | None]] = {
    "hf": _hf,
    "https": _https,
    "github": _github,
    "s3": _s3,
    "file": _file,
    "archive": _archive,
    "oci": _oci,
    "registry": _registry,
}
assert set(_READERS) == set(SCHEMES)  # noqa: S101 -- a new kind of source must say what it looks like


def single_file(scheme: Scheme, source: str) -> bool | None:
    """Whether a source is one file; None where only looking tells (a path)."""
    if scheme in {"https", "github"}:
        return True
    if scheme == "s3":
        return not source.endswith("/")
    if scheme == "file":
        return False if source.endswith("/") else None
    return False
