"""An image on the disk: as a layout in a folder, or an archive; whole, or not there at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from nixgen.console import Line, ReaderGoneError, console, size
from nixgen.errors import MachineError, UserError
from nixgen.images.build import Made
from nixgen.machine import scratch
from nixgen.oci.model import LAYER, Blob, Descriptor, Image, Index, named, write_archive, write_layout

STDOUT = Path("-")
_LEVEL = "-3"  # of zstd: 3 takes as long as reading does


def layout(made: Made, folder: Path) -> None:
    """Writes a layout; the folder must not be there. Raises as :func:`archive`."""
    with _place(folder) as new:
        write_layout(new / "layout", [_counted(made)])
        (new / "layout").rename(folder)


def archive(made: Made, file: Path) -> None:
    """Writes an archive; "-" is stdout. Raises UserError, MachineError for a full disk, Unequal for what changed."""
    whole = _counted(made)
    if file == STDOUT:
        if sys.stdout.isatty():
            raise UserError.of("--archive -", "would write a tar to the terminal", "add: | podman load")
        try:
            write_archive(sys.stdout.buffer.write, [whole], made.name)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise ReaderGoneError from None
        return
    with _place(file) as new:
        with (new / "archive").open("xb") as out:
            write_archive(out.write, [whole], made.name)
        (new / "archive").rename(file)


@contextlib.contextmanager
def compressed(made: Made, above: Path) -> Iterator[Made]:
    """The image with its layers compressed by zstd, in a folder below ``above`` until the block ends.

    Its digest depends on zstd's version. Raises MachineError where there is no zstd.
    """
    with _guarded(above), scratch.folder(above) as folder:
        images = [_compressed(image, folder) for image in made.whole.images]
        whole = Index.of(images) if isinstance(made.whole, Index) else images[0]
        titles = {
            new.descriptor.digest: made.titles[old.descriptor.digest]
            for image, old_image in zip(images, made.whole.images, strict=True)
            for new, old in zip(image.blobs[1:], old_image.blobs[1:], strict=True)
        }
        yield replace(made, whole=named(whole, made.name), titles=titles)


def _compressed(image: Image, folder: Path) -> Image:
    config, *layers = image.blobs
    manifest = json.loads(b"".join(image.manifest.open()))
    new = Image.of(config, [_zstd(layer, folder) for layer in layers], annotations=manifest["annotations"])
    descriptor = replace(new.manifest.descriptor, platform=image.manifest.descriptor.platform)
    return replace(new, manifest=replace(new.manifest, descriptor=descriptor))


def _zstd(layer: Blob, folder: Path) -> Blob:
    """A layer, compressed with one thread: with more, the bytes would depend on how many there are."""
    place = folder / layer.descriptor.sha256
    if layer.descriptor.media_type != LAYER:
        return layer
    command = ["zstd", _LEVEL, "--single-thread", "--quiet", "--stdout"]
    console.detail(f"$ {' '.join(command)}")
    with place.open("wb") as out:
        try:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out)
        except FileNotFoundError:
            raise MachineError.of("", "there is no program zstd", "install it, or leave --compress out") from None
        assert process.stdin is not None  # noqa: S101 -- it is a pipe
        with process, process.stdin as pipe:
            for piece in layer.checked():
                pipe.write(piece)
    if process.returncode:
        raise MachineError.of("zstd", f"ended with exit code {process.returncode}")
    blob = Blob.of_file(place, replace(layer.descriptor, size=place.stat().st_size))
    descriptor = Descriptor(f"{LAYER}+zstd", f"sha256:{_sha256(blob)}", place.stat().st_size)
    return Blob.of_file(place, descriptor)


def _sha256(blob: Blob) -> str:
    found = hashlib.sha256()
    for piece in blob.open():
        found.update(piece)
    return found.hexdigest()


def _counted(made: Made) -> Image | Index:
    """The same image, which shows how much of it was read on its way."""
    total, done, line = made.size, [0], Line()

    def watched(blob: Blob) -> Blob:
        def opened() -> Iterator[bytes]:
            for piece in blob.open():
                done[0] += len(piece)
                if not console.quiet:
                    line.write(f"writing {size(done[0])} of {size(total)}" if done[0] < total else "")
                yield piece

        return Blob(blob.descriptor, opened)

    def image(one: Image) -> Image:
        return replace(one, blobs=tuple(map(watched, one.blobs)))

    if isinstance(made.whole, Index):
        return replace(made.whole, images=tuple(map(image, made.whole.images)))
    return image(made.whole)


@contextlib.contextmanager
def _place(out: Path) -> Iterator[Path]:
    """A folder beside what is written, on the same disk."""
    if os.path.lexists(out):
        raise UserError.of(str(out), "is there already", "name another place, or remove it")
    with _guarded(out), scratch.folder(out.absolute().parent) as folder:
        yield folder


@contextlib.contextmanager
def _guarded(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MachineError.of(str(out), f"cannot be written: {error.strerror}") from None
