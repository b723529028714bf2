"""Sends images to a registry: what it lacks, several blobs at once, manifests behind what they name, tags last."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlencode

from nixgen.console import Line, console, size
from nixgen.errors import MachineError, UserError
from nixgen.oci.model import INDEX, Blob, Descriptor, Image, Index, Unequal
from nixgen.registries import mounts
from nixgen.registries.client import Registry, Reply
from nixgen.registries.place import Place

_AT_ONCE = 4  # uploads; a registry's disk is not faster with more
_TIMES = 4  # that an upload which broke off begins anew
_MISSING = 404
_EMPTY = "application/vnd.oci.empty.v1+json"
_TITLE = "org.opencontainers.image.title"
_CREATED = 201
_ACCEPTED = 202

Seen = Callable[[int], object]
"""Told of bytes that were sent, or need not be; less than nothing for those that have to be sent anew."""


@dataclass(frozen=True, slots=True)
class Document:
    """What is attached to an image: a file with its kind, and further annotations of its manifest."""

    title: str
    media_type: str
    data: bytes
    annotations: Mapping[str, str] = field(default_factory=dict)


Documents = Callable[[], Sequence[Document]]


def send(place: Place, whole: Image | Index, tags: Sequence[str], documents: Documents = tuple) -> int:
    """Pushes an image, with a line of progress, and attaches documents to it; how many bytes of blobs were sent.

    Raises as :func:`push`, and what ``documents`` does: nothing is published then.
    """
    blobs = {blob.descriptor.digest: blob.descriptor.size for image in whole.images for blob in image.blobs}
    total, done, line = sum(blobs.values()), [0], Line()
    elsewhere = mounts.known(place, blobs)

    def seen(count: int) -> None:
        done[0] += count
        if not console.quiet:
            line.write(f"pushing {size(done[0])} of {size(total)}" if done[0] < total else "")

    registry = Registry(place, "pull,push", tuple(sorted(set(elsewhere.values()))))
    try:
        sent = push(registry, whole, tags, seen, elsewhere, documents)
        mounts.note(place, blobs)
    finally:
        line.write("")
        registry.close()
    return sent


def push(
    registry: Registry,
    whole: Image | Index,
    tags: Sequence[str],
    seen: Seen = lambda _: None,
    elsewhere: Mapping[str, str] = MappingProxyType({}),
    documents: Documents = tuple,
) -> int:
    """Puts an image there under tags (none: by its digest alone); how many bytes of blobs were sent.

    ``documents`` is asked for what is attached when all blobs are there.

    ``elsewhere`` are other repositories of the registry that may have blobs, by their digests: these are not sent.
    Raises Unequal for a blob that is not what its manifest says: nothing of that name is published then; UserError and
    MachineError.
    """
    sent, lock = [0], threading.Lock()

    def told(count: int) -> None:
        with lock:
            sent[0] += count
            seen(count)

    _blobs(
        registry,
        {blob.descriptor.digest: blob for image in whole.images for blob in image.blobs},
        told,
        seen,
        elsewhere,
    )
    attached = documents()
    for image in whole.images:
        if image.manifest.descriptor.digest != whole.manifest.descriptor.digest:
            manifest(registry, image.manifest)
    for tag in tags or [whole.manifest.descriptor.digest]:
        manifest(registry, whole.manifest, tag)
    for document in attached:
        attach(registry, whole.manifest.descriptor, document)
    return sent[0]


def _blobs(registry: Registry, blobs: Mapping[str, Blob], sent: Seen, seen: Seen, elsewhere: Mapping[str, str]) -> None:
    """Sends what is missing of them; where one fails, the others stop. Raises what the first failed of."""
    stop = threading.Event()

    def one(blob: Blob) -> None:
        try:
            if stop.is_set():
                return  # another has failed
            if _there(registry, blob, "blobs"):
                seen(blob.descriptor.size)
                return
            other = elsewhere.get(blob.descriptor.digest)
            begun = _mount(registry, blob, other) if other else None
            if begun and begun.status == _CREATED:
                seen(blob.descriptor.size)
            else:
                _upload(registry, blob, sent, stop, begun)
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            wait(found := [pool.submit(one, blob) for blob in blobs.values()])
        finally:
            stop.set()  # Ctrl-C ends the others, too
    errors = [error for one in found if (error := one.exception()) is not None]
    for error in sorted(errors, key=lambda error: isinstance(error, _Stopped)):
        raise error


def manifest(registry: Registry, blob: Blob, by: str = "") -> Reply:
    """Puts a manifest there, by its digest or under a tag. Raises MachineError where another one is there then."""
    kind, digest = blob.descriptor, blob.descriptor.digest
    url = registry.place.url("manifests", by or digest)
    reply = registry.ask("PUT", url, {"Content-Type": kind.media_type}, b"".join(blob.checked()))
    _expect(registry, reply, _CREATED, f"did not take the manifest {by or digest}")
    _alike(registry, reply, digest)
    if not _there(registry, blob, "manifests"):
        what = f"took the manifest {digest}, and does not have it"
        raise MachineError.of(registry.place.host, what, "run the command again; else tell its host")
    return reply


def attach(registry: Registry, subject: Descriptor, document: Document) -> Descriptor:
    """Attaches a document to an image, as a referrer of it; the same bytes are the same referrer.

    Where the registry has no list of referrers, the tag that stands for it gets one (specification, "Referrers tag
    schema"). Raises UserError and MachineError.
    """
    layer = Blob.of_bytes(document.data, document.media_type)
    layer = replace(layer, descriptor=replace(layer.descriptor, annotations={_TITLE: document.title}))
    bare = Descriptor(subject.media_type, subject.digest, subject.size).json()
    more = {"annotations": dict(document.annotations)} if document.annotations else {}
    made = Image.of(Blob.of_bytes(b"{}", _EMPTY), [layer], artifactType=document.media_type, subject=bare, **more)
    _blobs(registry, {blob.descriptor.digest: blob for blob in made.blobs}, lambda _: None, lambda _: None, {})
    found = made.manifest.descriptor
    if manifest(registry, made.manifest).headers.get("oci-subject") != subject.digest:
        _list(registry, subject.digest.replace(":", "-"), found)
    return found


def _list(registry: Registry, tag: str, new: Descriptor) -> None:
    """Adds a referrer to the index of a tag."""
    url = registry.place.url("manifests", tag)
    reply = registry.ask("GET", url, {"Accept": INDEX})
    rows: list[dict[str, Any]] = []
    if reply.status != _MISSING:
        _expect(registry, reply, 200, f"does not show the list of referrers {tag}")
        try:
            whole = json.loads(reply.body)
            rows = [dict(row) for row in whole["manifests"]] if whole["mediaType"] == INDEX else [{}]
            known = {str(row["digest"]) for row in rows}
        except (ValueError, LookupError, TypeError):
            what = f"has a tag {tag} that is no list of referrers"
            raise MachineError.of(f"{registry.place.host}/{registry.place.name}", what, "remove the tag") from None
        if new.digest in known:
            return
    value = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [*rows, new.json()]}
    manifest(registry, Blob.of(value, INDEX), tag)


class _Stopped(Exception):  # noqa: N818 -- no error: another upload has one
    pass


def _there(registry: Registry, blob: Blob, kind: str) -> bool:
    """Whether the registry has a blob or manifest. Raises MachineError for one of another size or digest."""
    wanted = blob.descriptor
    accept = {"Accept": wanted.media_type} if kind == "manifests" else None
    reply = registry.ask("HEAD", registry.place.url(kind, wanted.digest), accept)
    if reply.status == _MISSING:
        return False
    _expect(registry, reply, 200, f"does not say whether it has {wanted.digest}")
    _alike(registry, reply, wanted.digest)
    length = reply.headers.get("content-length", "")
    if length.isdecimal() and int(length) != wanted.size:
        what = f"has {wanted.digest} with {length} bytes, and it has {wanted.size}"
        raise MachineError.of(registry.place.host, what, "tell its host: it is damaged there")
    return True


def _mount(registry: Registry, blob: Blob, other: str) -> Reply | None:
    """Asks for a blob of another repository: it is there then (201), or an upload of it has begun (202)."""
    query = urlencode({"mount": blob.descriptor.digest, "from": other})
    try:
        reply = registry.ask("POST", f"{registry.place.url('blobs', 'uploads')}/?{query}", None, b"")
    except UserError:  # it may not be read
        return None
    if reply.status == _CREATED:
        _alike(registry, reply, blob.descriptor.digest)
    return reply if reply.status in (_CREATED, _ACCEPTED) else None


def _upload(registry: Registry, blob: Blob, seen: Seen, stop: threading.Event, begun: Reply | None) -> None:
    """POST, then PUT with the whole blob; anew from the start where the registry died or forgot the upload."""
    for attempt in range(_TIMES):
        reply = begun or registry.ask("POST", f"{registry.place.url('blobs', 'uploads')}/", None, b"")
        begun = None
        _expect(registry, reply, _ACCEPTED, "takes no upload")
        target = registry.onward(reply)
        target += f"{'&' if '?' in target else '?'}digest={quote(blob.descriptor.digest, safe='')}"
        length = {"Content-Type": "application/octet-stream", "Content-Length": str(blob.descriptor.size)}
        opened = 0

        def body() -> Iterator[bytes]:
            nonlocal opened
            if opened:  # an upload that broke off in the middle cannot be sent there again
                raise _BrokenOff
            opened = 1
            return _held(blob, seen, stop)

        try:
            reply = registry.ask("PUT", target, length, body)
        except (_BrokenOff, MachineError) as error:
            if attempt == _TIMES - 1:
                if isinstance(error, MachineError):
                    raise
                what = f"breaks off the upload of {blob.descriptor.digest}"
                raise MachineError.of(registry.place.host, what, "run the command again") from None
            if _there(registry, blob, "blobs"):  # only the answer was lost
                return
            continue
        if reply.status == _MISSING and attempt < _TIMES - 1:  # it was started anew, and forgot the upload
            continue
        _expect(registry, reply, _CREATED, f"did not take {blob.descriptor.digest}")
        _alike(registry, reply, blob.descriptor.digest)
        return


class _BrokenOff(Exception):  # noqa: N818 -- a reason to begin anew
    pass


def _held(blob: Blob, seen: Seen, stop: threading.Event) -> Iterator[bytes]:
    """A blob's bytes; the last piece only when all are known to be right, so that nobody gets a whole wrong one."""
    last = b""
    count = 0
    done = False
    try:
        for piece in blob.checked():
            if stop.is_set():
                raise _Stopped
            if last:
                count += len(last)
                seen(len(last))
                yield last
            last = piece
            if count + len(last) > blob.descriptor.size:
                raise Unequal(blob.descriptor.digest, f"is longer than its {blob.descriptor.size} bytes")
        count += len(last)
        seen(len(last))
        if last:
            yield last
        done = True
    except OSError as error:
        raise Unequal(blob.descriptor.digest, f"cannot be read: {error.strerror or error}") from None
    finally:
        if not done:
            seen(-count)


def _expect(registry: Registry, reply: Reply, status: int, what: str) -> None:
    if reply.status != status:
        mend = "check the name, and that the registry takes OCI images; run the command again"
        raise MachineError.of(f"{registry.place.host}/{registry.place.name}", f"{what}: {reply.told}", mend)


def _alike(registry: Registry, reply: Reply, digest: str) -> None:
    if reply.digest and reply.digest != digest:
        what = f"was given {digest}, and says that it has {reply.digest}"
        raise MachineError.of(registry.place.host, what, "tell its host: nothing else was published")
