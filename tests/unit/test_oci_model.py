"""Images as values, and the layouts and archives that are written of them."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from nixgen.oci import ustar
from nixgen.oci.model import (
    CONFIG,
    LAYER,
    REFERENCE,
    Blob,
    Descriptor,
    Image,
    Index,
    Unequal,
    named,
    write_archive,
    write_layout,
)


def image(text: bytes = b"layer", platform: str = "amd64") -> Image:
    return Image.of(Blob.of({"architecture": platform}, CONFIG), [Blob.of_bytes(text, LAYER)])


def archive(*images: Image | Index, docker: str = "") -> bytes:
    out = io.BytesIO()
    write_archive(out.write, images, docker)
    return out.getvalue()


def test_a_layout_has_every_blob_once_by_its_digest(tmp_path: Path) -> None:
    index = named(Index.of([image(), image(platform="arm64")]), "demo:1.0")
    write_layout(tmp_path, [index])
    [top] = json.loads((tmp_path / "index.json").read_bytes())["manifests"]
    assert top["annotations"] == {REFERENCE: "demo:1.0"}
    blobs = {path.name: path.read_bytes() for path in (tmp_path / "blobs/sha256").iterdir()}
    assert len(blobs) == 6  # a layer that both have, two configs, two manifests, the index
    assert all(hashlib.sha256(data).hexdigest() == name for name, data in blobs.items())
    for described in json.loads(blobs[top["digest"].partition(":")[2]])["manifests"]:
        manifest = json.loads(blobs[described["digest"].partition(":")[2]])
        assert manifest["config"]["digest"].partition(":")[2] in blobs


def test_an_archive_is_a_layout_and_what_docker_loads() -> None:
    data = archive(image(), docker="demo:1.0")
    assert data == archive(image(), docker="demo:1.0")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        files = {entry.name: tar.extractfile(entry).read() for entry in tar if entry.isfile()}  # type: ignore[union-attr]
        assert all((entry.uid, entry.gid, entry.uname, entry.mtime) == (0, 0, "", 1) for entry in tar)
    [docker] = json.loads(files["manifest.json"])
    assert docker["RepoTags"] == ["demo:1.0"]
    assert [files[name] for name in docker["Layers"]] == [b"layer"]
    assert json.loads(files[docker["Config"]]) == {"architecture": "amd64"}
    with tarfile.open(fileobj=io.BytesIO(archive(image()))) as tar:
        assert "manifest.json" not in tar.getnames()


def test_bytes_that_are_not_the_descriptors_are_never_whole(tmp_path: Path) -> None:
    told = Blob.of_bytes(b"told", LAYER).descriptor
    wrong = Image.of(Blob.of({}, CONFIG), [Blob(told, lambda: iter((b"gave",)))])
    with pytest.raises(Unequal, match=told.digest):
        write_layout(tmp_path, [wrong])
    with pytest.raises(Unequal, match=told.digest):
        archive(wrong)


def test_a_descriptor_has_the_keys_of_the_specification() -> None:
    found = Descriptor("a/b", "sha256:00", 3, {"k": "v"}, "linux/arm64", "c/d").json()
    assert found == {
        "mediaType": "a/b",
        "digest": "sha256:00",
        "size": 3,
        "annotations": {"k": "v"},
        "platform": {"os": "linux", "architecture": "arm64"},
        "artifactType": "c/d",
    }


@pytest.mark.parametrize("length", [1, 99, 100, 101, 102, 155, 156, 254, 255, 256, 257, 300, 3000])
@pytest.mark.parametrize("last", [1, 50, 99, 100, 101])
@pytest.mark.parametrize("kind", [ustar.DIRECTORY, ustar.FILE, ustar.LINK])
def test_tar_reads_every_name_and_target_as_it_was_written(length: int, last: int, kind: bytes) -> None:
    name = "d" * max(length - last - 1, 0) + "/" * (length > last + 1) + "n" * min(last, length)
    target = "t" * length if kind == ustar.LINK else ""
    slash = "/" if kind == ustar.DIRECTORY else ""
    data = ustar.header((name + slash).encode(), kind, 0o444, 0, target.encode()) + ustar.END
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        [entry] = tar
    assert (entry.name, entry.linkname, entry.mode, entry.mtime) == (name, target, 0o444, 1)


@pytest.mark.parametrize("size", [0, 8**11 - 1, 8**11, 20 << 30, 1 << 50])
def test_tar_reads_sizes_that_do_not_fit(size: int) -> None:
    with tarfile.open(fileobj=io.BytesIO(ustar.header(b"big", ustar.FILE, 0o444, size))) as tar:
        entry = tar.next()
    assert entry is not None
    assert entry.size == size
    assert (len(ustar.header(b"big", ustar.FILE, 0o444, size)) > 512) == (size >= 8**11)


def test_a_pax_record_counts_its_own_length() -> None:
    for length in range(80, 1300):
        name = b"x" * length
        with tarfile.open(fileobj=io.BytesIO(ustar.header(name, ustar.FILE, 0o444) + ustar.END)) as tar:
            assert [entry.name for entry in tar] == [name.decode()]
