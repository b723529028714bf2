"""Images on the disk: whole or not at all, compressed, for several platforms; without Nix."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nixgen.errors import MachineError, UserError
from nixgen.images import build, write
from nixgen.images.build import Made
from nixgen.oci.model import CONFIG, LAYER, Blob, Descriptor, Image, Index, Unequal, named
from nixgen.project.project import Project
from nixgen.project.settings import Settings

PROJECT = Project(Path(), "demo", {}, Settings(), None, has_lock=True)
TEXT = b"layer " * 1000


def image(*layers: Blob, architecture: str = "amd64") -> Image:
    config = Blob.of({"architecture": architecture}, CONFIG)
    made = Image.of(config, layers or [Blob.of_bytes(TEXT, LAYER)], annotations={"a": "b"})
    descriptor = Descriptor(
        **{
            **{key: getattr(made.manifest.descriptor, key) for key in ("media_type", "digest", "size")},
            "platform": f"linux/{architecture}",
        }
    )
    return Image(Blob(descriptor, made.manifest.open), made.blobs)


def made(whole: Image | Index) -> Made:
    titles = {layer.descriptor.digest: "layer" for one in whole.images for layer in one.blobs[1:]}
    return Made(named(whole, "demo:1.0"), "demo:1.0", titles, PROJECT)


def several() -> Made:
    return made(Index.of([image(), image(architecture="arm64")], annotations={"a": "b"}))


def test_an_index_of_two_platforms_has_each_blob_once(tmp_path: Path) -> None:
    write.layout(several(), tmp_path / "out")
    index = json.loads((tmp_path / "out" / "index.json").read_text())
    [top] = index["manifests"]
    inner = json.loads((tmp_path / "out/blobs/sha256" / top["digest"][7:]).read_text())
    assert [one["platform"] for one in inner["manifests"]] == [
        {"os": "linux", "architecture": "amd64"},
        {"os": "linux", "architecture": "arm64"},
    ]
    write.archive(several(), tmp_path / "out.tar")
    with tarfile.open(tmp_path / "out.tar") as tar:
        names = tar.getnames()
    assert len(names) == len(set(names))
    assert several().size == len(TEXT) + 2 * len(b'{"architecture":"amd64"}')


@pytest.mark.skipif(shutil.which("zstd") is None, reason="zstd is not here")
def test_compressed_layers_are_those_of_every_platform(tmp_path: Path) -> None:
    with write.compressed(several(), tmp_path) as small:
        assert small.digest != several().digest
        assert set(small.titles.values()) == {"layer"}
        [digest] = {layer.descriptor.digest for one in small.whole.images for layer in one.blobs[1:]}
        write.layout(small, tmp_path / "out")
        platforms = [one.manifest.descriptor.platform for one in small.whole.images]
    assert platforms == ["linux/amd64", "linux/arm64"]
    place = tmp_path / "out/blobs/sha256" / digest[7:]
    assert hashlib.sha256(place.read_bytes()).hexdigest() == digest[7:]
    assert subprocess.run(["zstd", "-dc", place], capture_output=True, check=True).stdout == TEXT
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_without_zstd_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="there is no program zstd"), write.compressed(several(), tmp_path):
        pass
    assert [*tmp_path.iterdir()] == []


def stops(error: Exception) -> Made:
    def opened() -> Iterator[bytes]:
        yield TEXT[:10]
        raise error

    return made(image(Blob(Blob.of_bytes(TEXT, LAYER).descriptor, opened)))


@pytest.mark.parametrize("writes", [write.layout, write.archive])
@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), MachineError),
        (Unequal("/nix/store/x", "changed"), Unequal),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_what_ends_in_the_middle_leaves_nothing(tmp_path: Path, writes: Any, raised: Any, told: type) -> None:
    with pytest.raises(told):
        writes(stops(raised), tmp_path / "out")
    assert [*tmp_path.iterdir()] == []


def test_nothing_is_overwritten_and_no_tar_goes_to_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(UserError, match="is there already"):
        write.archive(several(), tmp_path / "out")
    terminal = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", terminal)
    with pytest.raises(UserError, match="would write a tar to the terminal"):
        write.archive(several(), write.STDOUT)
    monkeypatch.setattr(terminal, "isatty", lambda: False)
    write.archive(several(), write.STDOUT)
    assert tarfile.open(fileobj=io.BytesIO(terminal.buffer.getvalue())).getnames()[-1] == "oci-layout"  # type: ignore[attr-defined]  # noqa: SIM115


def test_in_a_project_without_names_the_environment_has_none() -> None:
    assert build._instead("rain", []).startswith("leave the name out: nixgen image build")
    assert build._instead("apo", ["api"]) == "did you mean api?"
