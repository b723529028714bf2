"""``s3:`` and what else fsspec reads: an object, or all below a folder. Each is read once, for its SHA-256.

An object store's own checksums (an ETag, an md5) are no pins. The credentials come from where the file system's own
library finds them, and the file systems are an extra: nixgen[remote].
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from nixgen.artifacts.model import ArtifactSpec, PinnedArtifact, PinnedFile
from nixgen.artifacts.progress import Progress
from nixgen.artifacts.sources.context import Context, together
from nixgen.artifacts.sources.paths import chosen
from nixgen.artifacts.sources.pinning import pinned
from nixgen.artifacts.store import Found, store_name
from nixgen.errors import MachineError, NixgenError, UserError
from nixgen.machine.download import CHUNK

_SHARED = 8 << 20  # bytes of a block that is asked for at once


def resolve(spec: ArtifactSpec, previous: PinnedArtifact | None, context: Context) -> PinnedArtifact:
    """Lists the files, reads each once, and pins what it read; with a holder that is where they end."""
    del previous  # names and sizes alone do not say that a file is the same
    system, base = _system(spec.source, spec.endpoint, spec.where)
    listed = _guarded(lambda: _listing(system, base, folder=spec.source.endswith("/")), spec.source, spec.where)
    picked = chosen(list(listed), spec.include, spec.exclude, spec.where, spec.source)
    rows = [(path, listed[path][0], listed[path][1], None) for path in picked]
    found = _read(system, rows, context, spec.source, spec.key, spec.where)
    return pinned(spec, [PinnedFile(path, item.size, item.sha256) for path, item in zip(picked, found, strict=True)])


def fetch(artifact: PinnedArtifact, context: Context, missing: Iterable[PinnedFile]) -> dict[str, Path]:
    """Reads pinned files into the holder."""
    files = list(missing)
    system, base = _system(artifact.source, artifact.endpoint, artifact.key)
    folder = artifact.source.endswith("/")
    rows = [(file.path, f"{base}/{file.path}" if folder else base, file.size, file.sha256) for file in files]
    found = _read(system, rows, context, artifact.source, artifact.key, artifact.key)
    return {file.path: item.path for file, item in zip(files, found, strict=True) if item.path is not None}


def _system(source: str, endpoint: str | None, where: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it."""
    try:
        import fsspec  # type: ignore[import-untyped,unused-ignore]

        options = {"endpoint_url": endpoint} if endpoint else {}
        # Files and listings are never cached: what is pinned is what is there now.
        system, base = fsspec.core.url_to_fs(source, use_listings_cache=False, skip_instance_cache=True, **options)
    except ImportError:
        mend = "install it beside nixgen: uv tool install 'nixgen[remote]'"
        raise UserError.of(where, f"{source.partition(':')[0]}: needs a library that is not here", mend) from None
    except ValueError as error:
        raise UserError.of(where, f"{source} cannot be read: {error}", "check the address") from None
    return system, str(base).rstrip("/")


def _listing(system: Any, base: str, *, folder: bool) -> dict[str, tuple[str, int]]:  # noqa: ANN401 -- fsspec has no types
    """Each file's path below the source, its place in the file system, and its size."""
    if not folder:
        info = system.info(base)
        return {base.rpartition("/")[2]: (base, int(info["size"]))} if info["type"] == "file" else {}
    return {
        place.removeprefix(f"{base}/"): (place, int(info["size"]))
        for place, info in system.find(base, detail=True).items()
        if not place.endswith("/")  # an empty object that stands for the folder itself
    }


def _read(
    system: Any,  # noqa: ANN401 -- the same
    rows: Sequence[tuple[str, str, int, str | None]],
    context: Context,
    source: str,
    key: str,
    where: str,
) -> list[Found]:
    """Reads files given as (path, place, size, SHA-256 if known); they end in the holder."""
    scratch = context.holder.scratch() if context.holder else None
    with Progress(key, len(rows), sum(size for _, _, size, _ in rows)) as progress:

        def one(row: tuple[str, str, int, str | None]) -> Found:
            path, place, size, sha256 = row
            found = _guarded(lambda: _stream(system, place, scratch, progress.bytes), f"{source}: {path}", where)
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


def _stream(system: Any, place: str, scratch: Path | None, progress: Callable[[int], object]) -> Found:  # noqa: ANN401
    state, size = hashlib.sha256(), 0
    if scratch is None:
        handle, name = os.open(os.devnull, os.O_WRONLY), None
    else:
        scratch.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix="whole-", dir=scratch)
    try:
        with (
            os.fdopen(handle, "wb") as file,
            system.open(place, "rb", block_size=_SHARED, cache_type="readahead") as stream,
        ):
            while data := stream.read(CHUNK):
                state.update(data)
                file.write(data)
                size += len(data)
                progress(len(data))
    except BaseException:
        if name is not None:
            Path(name).unlink()
        raise
    return Found(Path(name) if name else None, state.hexdigest(), size)


def _guarded(do: Callable[[], Any], source: str, where: str) -> Any:  # noqa: ANN401 -- what it does gives
    """What a call into the file system's library gives; its errors, whichever they are, as a sentence."""
    try:
        return do()
    except NixgenError:
        raise
    except FileNotFoundError:
        raise UserError.of(where, f"there is no {source}", "check the address, and the endpoint") from None
    except PermissionError:
        mend = "the credentials come from where the file system's own tools find them (for s3: AWS_PROFILE, ~/.aws)"
        raise UserError.of(where, f"{source} may not be read", mend) from None
    except Exception as error:  # noqa: BLE001 -- each file system's library has errors of its own
        what = f"{source} cannot be read: {type(error).__name__}: {error}"
        raise MachineError.of(where, what, "check the network, the endpoint and the credentials") from None
