"""``s3:``, an object of a bucket or all below a folder. Each is read once, for its SHA-256.

An object store's own checksums (an ETag, an md5) are no pins. The credentials come from where the store's own tools
have them; what speaks to the store is an extra: nixgen[remote].
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nixgen.artifacts.model import ArtifactSpec, PinnedArtifact, PinnedFile
from nixgen.artifacts.progress import Progress
from nixgen.artifacts.sources.context import Context, together
from nixgen.artifacts.sources.paths import chosen
from nixgen.artifacts.sources.pinning import pinned
from nixgen.artifacts.store import Found, store_name
from nixgen.errors import NixgenError, UserError
from nixgen.machine import objects
from nixgen.machine.download import CHUNK

if TYPE_CHECKING:
    from obstore.store import ObjectStore


def resolve(spec: ArtifactSpec, previous: PinnedArtifact | None, context: Context) -> PinnedArtifact:
    """Lists the files, reads each once, and pins what it read; with a holder that is where they end."""
    del previous  # names and sizes alone do not say that a file is the same
    store, base = _opened(spec.source, spec.endpoint, spec.where)
    with _guarded(spec.source, spec.where, spec.endpoint):
        listed = _listing(store, base, folder=spec.source.endswith("/"))
    picked = chosen(list(listed), spec.include, spec.exclude, spec.where, spec.source)
    rows = [(path, listed[path][0], listed[path][1], None) for path in picked]
    found = _read(store, rows, context, spec, spec.where)
    return pinned(spec, [PinnedFile(path, item.size, item.sha256) for path, item in zip(picked, found, strict=True)])


def fetch(artifact: PinnedArtifact, context: Context, missing: Iterable[PinnedFile]) -> dict[str, Path]:
    """Reads pinned files into the holder."""
    files = list(missing)
    store, base = _opened(artifact.source, artifact.endpoint, artifact.key)
    folder = artifact.source.endswith("/")
    rows = [(file.path, f"{base}/{file.path}".strip("/") if folder else base, file.size, file.sha256) for file in files]
    found = _read(store, rows, context, artifact, artifact.key)
    return {file.path: item.path for file, item in zip(files, found, strict=True) if item.path is not None}


def _opened(source: str, endpoint: str | None, where: str) -> tuple[ObjectStore, str]:
    """The bucket of an address, and the key in it."""
    scheme, _, rest = source.partition(":")
    bucket, _, key = rest.removeprefix("//").partition("/")
    store = objects.open_store(
        f"{scheme}://{bucket}", {"endpoint": endpoint} if endpoint else {}, where=where, own=False
    )
    return store, key.strip("/")


def _listing(store: ObjectStore, base: str, *, folder: bool) -> dict[str, tuple[str, int]]:
    """Each file's path below the source, its key, and its size."""
    import obstore

    if not folder:
        return {base.rpartition("/")[2]: (base, obstore.head(store, base)["size"])}
    found = {row["path"]: row["size"] for some in obstore.list(store, base or None) for row in some}
    return {
        key[len(base) :].removeprefix("/"): (key, size)
        for key, size in sorted(found.items())
        if key != base and (size or _is_file(store, key))
    }


def _is_file(store: ObjectStore, key: str) -> bool:
    """Not so an empty object whose name ends with a slash: it stands for a folder, and is listed without the slash."""
    import obstore

    try:
        obstore.head(store, key)
    except FileNotFoundError:
        return False
    return True


def _read(
    store: ObjectStore,
    rows: Sequence[tuple[str, str, int, str | None]],
    context: Context,
    whose: ArtifactSpec | PinnedArtifact,
    where: str,
) -> list[Found]:
    """Reads files given as (path, place, size, SHA-256 if known); they end in the holder."""
    source = whose.source
    scratch = context.holder.scratch() if context.holder else None
    with Progress(whose.key, len(rows), sum(size for _, _, size, _ in rows)) as progress:

        def one(row: tuple[str, str, int, str | None]) -> Found:
            path, place, size, sha256 = row
            with _guarded(f"{source}: {path}", where, whose.endpoint):
                found = _stream(store, place, scratch, progress.bytes)
            if found.size != size or sha256 not in (None, found.sha256):
                if found.path:
                    found.path.unlink()
                if found.size != size:
                    what = (
                        f"{path} is not what it should be: its size should be {size} bytes, and is {found.size} bytes"
                    )
                else:
                    what = f"{path} is not what it should be: its SHA-256 should be {sha256}, and is {found.sha256}"
                raise UserError.of(where, what, f"it was changed at {source}; nothing was pinned")
            progress.file()
            return context.hold([found], [store_name(path)])[0]

        return together(one, rows, at_once=4)


def _stream(store: ObjectStore, place: str, scratch: Path | None, progress: Callable[[int], object]) -> Found:
    import obstore

    state, size = hashlib.sha256(), 0
    if scratch is None:
        handle, name = os.open(os.devnull, os.O_WRONLY), None
    else:
        scratch.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix="whole-", dir=scratch)
    try:
        with os.fdopen(handle, "wb") as file:
            for data in obstore.get(store, place).stream(min_chunk_size=CHUNK):
                state.update(data)
                file.write(data)
                size += len(data)
                progress(len(data))
    except BaseException:
        if name is not None:
            Path(name).unlink()
        raise
    return Found(Path(name) if name else None, state.hexdigest(), size)


@contextmanager
def _guarded(source: str, where: str, endpoint: str | None = None) -> Iterator[None]:
    """Turns the store's errors into sentences."""

    def failed(kind: type[NixgenError], what: str, mend: str) -> NixgenError:
        if what.startswith("may not") and not objects.signed(endpoint):
            mend = f"set AWS_ENDPOINT_URL_S3={endpoint} yourself, as your credentials do not follow models.toml"
        if kind is UserError:
            return UserError.of(where, f"there is no {source}", mend)
        return kind.of(where, f"{source} {what}", mend)

    with objects.guarded(failed):
        yield
