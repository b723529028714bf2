"""Paths, archives and wheels of uv.lock as sources: what is pinned, and what is refused."""

from __future__ import annotations

import io
import json
import lzma
import os
import shutil
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.sources import DATA, WHERE, Files, archive, context, file_server, pin, refusal, sha256, spec

from nixgen.artifacts.model import PinnedArchive, PinnedFile
from nixgen.artifacts.sources import Context, fetch, resolve
from nixgen.artifacts.sources import archive as archives
from nixgen.artifacts.sources.local import changed
from nixgen.artifacts.store import Folder
from nixgen.errors import UserError


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Files]:
    with file_server(monkeypatch, tmp_path) as files:
        yield files


class TestPaths:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        (tmp_path / "weights/sub").mkdir(parents=True)
        (tmp_path / "weights/vad.onnx").write_bytes(DATA)
        (tmp_path / "weights/sub/labels.txt").write_bytes(b"")
        return tmp_path

    @pytest.mark.parametrize("source", ["weights/vad.onnx", "./weights/vad.onnx", "file:weights/vad.onnx"])
    def test_a_file(self, root: Path, source: str) -> None:
        found = pin(root, source)
        assert found.files == (PinnedFile("vad.onnx", len(DATA), sha256(DATA), local="weights/vad.onnx"),)
        assert fetch(found, context(root))["vad.onnx"].read_bytes() == DATA

    @pytest.mark.parametrize("source", ["weights", "weights/", "file:weights"])
    def test_a_folder(self, root: Path, source: str) -> None:
        found = pin(root, source)
        assert [(file.path, file.local) for file in found.files] == [
            ("sub/labels.txt", "weights/sub/labels.txt"),
            ("vad.onnx", "weights/vad.onnx"),
        ]
        assert [file.path for file in pin(root, source, exclude=("sub/",)).files] == ["vad.onnx"]

    def test_offline(self, root: Path) -> None:
        assert resolve(spec("weights"), None, Context(root, None, offline=True)).files

    def test_links_inside_the_project(self, root: Path) -> None:
        (root / "weights/link.onnx").symlink_to("vad.onnx")
        found = pin(root, "weights", include=("link.onnx",))
        assert found.files[0].local == "weights/vad.onnx"

    @pytest.mark.parametrize("target", ["../../outside.bin", "/etc/passwd", "/"])
    def test_links_out_of_the_project(self, root: Path, target: str) -> None:
        project = root / "project"
        (project / "weights").mkdir(parents=True)
        (root / "outside.bin").write_bytes(b"secret")
        (project / "weights/link.bin").symlink_to(target)
        said = refusal(project, "weights")
        assert f"link.bin is a link that leads out of {project}, which no teammate has" in said
        assert "link that leads out of" in refusal(project, "weights/link.bin")

    def test_links_to_nowhere_and_to_folders(self, root: Path) -> None:
        (root / "weights/loop").symlink_to("loop")
        assert "loop is a link that leads nowhere\n  hint: mend or remove it" in refusal(root, "weights")
        (root / "weights/loop").unlink()
        (root / "weights/folder").symlink_to("sub")
        assert "folder is a link to a folder, which nixgen does not follow" in refusal(root, "weights")

    def test_neither_a_file_nor_a_folder(self, root: Path) -> None:
        os.mkfifo(root / "weights/pipe")
        assert "pipe is neither a file nor a folder\n  hint: remove it" in refusal(root, "weights")

    def test_names_that_are_no_text(self, root: Path) -> None:
        Path(os.fsdecode(os.fsencode(root / "weights") + b"/bad\xff.bin")).write_bytes(b"")
        assert "has the file 'bad\\udcff.bin', which is not UTF-8 text" in refusal(root, "weights")

    def test_absent_and_empty(self, root: Path) -> None:
        assert refusal(root, "nowhere.bin") == (
            f"{WHERE}: there is no nowhere.bin\n  hint: check the path; it starts at models.toml's folder"
        )
        (root / "empty").mkdir()
        assert refusal(root, "empty") == f"{WHERE}: empty has no files\n  hint: check the source, and the revision"

    def test_a_file_of_this_machine(self, root: Path) -> None:
        project = root / "project"
        project.mkdir()
        found = pin(project, f"file://{root}/weights/vad.onnx")
        assert found.files == (PinnedFile("vad.onnx", len(DATA), sha256(DATA)),)
        assert fetch(found, context(project))["vad.onnx"].read_bytes() == DATA

    def test_changed_since(self, root: Path) -> None:
        found = pin(root, "weights/vad.onnx")
        (root / "weights/vad.onnx").write_bytes(DATA[:-1] + b"!")
        with pytest.raises(UserError, match=r"vad\.onnx is not the file that was pinned: its SHA-256 should be "):
            fetch(found, context(root))

    @pytest.mark.parametrize(
        ("content", "mend"),
        [
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3072000\n", "git lfs pull"),
            (b"/annex/objects/SHA256E-s3072000--0.onnx\n", "git annex get ."),
        ],
    )
    def test_what_only_points_at_a_file(self, root: Path, content: bytes, mend: str) -> None:
        found = pin(root, "weights")
        (root / "weights/vad.onnx").write_bytes(content)
        assert refusal(root, "weights/vad.onnx") == (
            f"{WHERE}: {root}/weights/vad.onnx only points at the file\n  hint: {mend}, then: nixgen sync"
        )
        assert list(map(str, changed(root, [found]))) == [
            f"models.vad: weights/vad.onnx: only points at the file that was pinned\n  hint: {mend}"
        ]

    def test_what_became_of_the_pinned_files(self, root: Path) -> None:
        folder, one = pin(root, "./weights/"), pin(root, "weights/vad.onnx")
        some = pin(root, "weights", exclude=("sub/",))
        assert changed(root, [folder, one, some]) == []
        (root / "weights/vad.onnx").write_bytes(DATA[:-1] + b"!")
        (root / "weights/sub/labels.txt").rename(root / "weights/sub/other.txt")
        mend = "bring the pinned one back, or pin what is there: nixgen sync"
        vad = f"models.vad: weights/vad.onnx: changed after it was pinned\n  hint: {mend}"
        assert list(map(str, changed(root, [folder]))) == [
            f"models.vad: weights/sub/labels.txt: is missing, and was pinned\n  hint: {mend}",
            f"models.vad: weights/sub/other.txt: is there, and was not pinned\n  hint: {mend}",
            vad,
        ]
        assert list(map(str, changed(root, [one]))) == list(map(str, changed(root, [some]))) == [vad]
        (root / "weights/loop").symlink_to("nowhere")
        assert next(str(problem) for problem in changed(root, [some])).startswith(
            f"models.vad: {root}/weights/loop is a link that leads nowhere"
        )
        shutil.rmtree(root / "weights")
        assert changed(root, [folder, one, some]) == []  # in the store, perhaps


MEMBERS = {"pkg/data/model.onnx": DATA, "pkg/data/sub/labels.txt": b"a\nb\n", "pkg/__init__.py": b""}


def bombs(kind: str) -> bytes:
    """A small archive that would take much to read."""
    out = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(out, "w") as zipped:
            for number in range(150):
                entry = zipfile.ZipInfo(f"{number}")
                entry.extra = b"\x99\x99\xf0\xff" + b"\0" * 65520
                zipped.writestr(entry, b"")
    elif kind == "bzip2":
        with zipfile.ZipFile(out, "w", zipfile.ZIP_BZIP2) as zipped:
            zipped.writestr("a.bin", b"\0" * 1000)
    elif kind == "xz":
        # What compresses takes ten times the dictionary: it is only said, in the header's byte, and its CRC mended.
        made = bytearray(
            lzma.compress(b"x" * 600, lzma.FORMAT_XZ, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 4096}])
        )
        made[16] = 36  # 1 GiB: the one property of LZMA2 in the header of the first block
        made[20:24] = zlib.crc32(made[12:20]).to_bytes(4, "little")
        return bytes(made)
    else:
        with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.PAX_FORMAT) as tarred:
            for number in range(1 if kind == "pax" else 250):
                name = f"{number}/{'x' * (9 << 20 if kind == 'pax' else 12_000)}"
                tarred.addfile(tarfile.TarInfo(name))
    return out.getvalue()


class TestArchives:
    @pytest.mark.parametrize("kind", ["zip", "whl", "tar", "tar.gz", "tar.xz", "tar.bz2"])
    def test_a_member(self, web: Files, tmp_path: Path, kind: str) -> None:
        whole = archive(kind, MEMBERS)
        web.files[f"/pkg.{kind}"] = whole
        url = f"{web.address}/pkg.{kind}"
        found = pin(tmp_path, url, member="pkg/data/model.onnx")
        pinned = PinnedArchive(sha256(whole), len(whole), url)
        assert found.scheme == "archive"
        assert found.files == (
            PinnedFile("model.onnx", len(DATA), sha256(DATA), member="pkg/data/model.onnx", archive=pinned),
        )
        assert fetch(found, context(tmp_path))["model.onnx"].read_bytes() == whole
        assert len(web.asked) == 1
        assert fetch(found, Context(tmp_path, Folder(tmp_path / "anew")))["model.onnx"].read_bytes() == whole

    def test_a_folder(self, web: Files, tmp_path: Path) -> None:
        web.files["/pkg.zip"] = archive("zip", MEMBERS)
        found = pin(tmp_path, f"{web.address}/pkg.zip", member="pkg/data/")
        assert [(file.path, file.member) for file in found.files] == [
            ("model.onnx", "pkg/data/model.onnx"),
            ("sub/labels.txt", "pkg/data/sub/labels.txt"),
        ]
        found = pin(tmp_path, f"{web.address}/pkg.zip", member="pkg/data/", include=("*.txt",))
        assert [file.path for file in found.files] == ["sub/labels.txt"]

    def test_its_sha256_is_the_archive_s(self, web: Files, tmp_path: Path) -> None:
        web.files["/pkg.zip"] = whole = archive("zip", MEMBERS)
        url = f"{web.address}/pkg.zip"
        assert pin(tmp_path, url, member="pkg/data/", sha256=sha256(whole)).files
        assert "pkg.zip is not what it should be" in refusal(tmp_path, url, member="pkg/data/", sha256=sha256(DATA))

    def test_in_the_project(self, tmp_path: Path) -> None:
        whole = archive("tar.gz", {"./a.bin": b"a"})
        (tmp_path / "pkg.tar.gz").write_bytes(whole)
        found = pin(tmp_path, "pkg.tar.gz", member="a.bin")
        assert found.files[0].archive == PinnedArchive(sha256(whole), len(whole), local="pkg.tar.gz")
        assert fetch(found, context(tmp_path))["a.bin"].read_bytes() == whole

    def test_an_archive_in_the_project_that_changed(self, tmp_path: Path) -> None:
        (tmp_path / "model.zip").write_bytes(archive("zip", MEMBERS))
        found = pin(tmp_path, "model.zip", member="pkg/data/model.onnx")
        assert changed(tmp_path, [found]) == []
        (tmp_path / "model.zip").write_bytes(archive("zip", MEMBERS | {"new": b""}))
        assert str(changed(tmp_path, [found])[0]).startswith("models.vad: model.zip: changed after it was pinned\n")

    def test_nothing_is_held_where_nothing_holds(self, web: Files, tmp_path: Path) -> None:
        web.files["/pkg.zip"] = archive("zip", MEMBERS)
        found = resolve(spec(f"{web.address}/pkg.zip", member="pkg/data/model.onnx"), None, Context(tmp_path, None))
        assert found.files[0].sha256 == sha256(DATA)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("kind", ["zip", "tar"])
    def test_members_that_cannot_be(self, web: Files, tmp_path: Path, kind: str) -> None:
        web.files["/pkg"] = archive(kind, MEMBERS | {"pkg/data/../../../outside": b""})
        url = f"{web.address}/pkg"
        assert refusal(tmp_path, url, member="pkg/other.onnx") == (
            f"{WHERE}: the archive has no pkg/other.onnx\n"
            "  hint: it has, for example: pkg/__init__.py, pkg/data/../../../outside, pkg/data/model.onnx …"
        )
        assert 'leads out of its folder with ".."' in refusal(tmp_path, url, member="pkg/")
        assert "has no files" in refusal(tmp_path, url, member="nowhere/")

    def test_a_member_twice(self, web: Files, tmp_path: Path) -> None:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as zipped:
            zipped.writestr("a.bin", b"one")
            with pytest.warns(UserWarning, match="Duplicate name"):
                zipped.writestr("a.bin", b"two")
        web.files["/pkg.zip"] = out.getvalue()
        said = refusal(tmp_path, f"{web.address}/pkg.zip", member="a.bin")
        assert said == f"{WHERE}: the archive has a.bin 2 times\n  hint: tell its publisher"

    @pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
    def test_a_member_that_is_a_link(self, web: Files, tmp_path: Path, kind: bytes) -> None:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tarred:
            entry = tarfile.TarInfo("a.bin")
            entry.type, entry.linkname = kind, "/etc/passwd"
            tarred.addfile(entry)
        web.files["/pkg.tar"] = out.getvalue()
        said = refusal(tmp_path, f"{web.address}/pkg.tar", member="a.bin")
        assert "a.bin is a link or something else, not a file, in the archive" in said

    @pytest.mark.parametrize(
        "content", [b"", b"not an archive", archive("zip", MEMBERS)[:-30], b"PK\x05\x06" + b"\0" * 18]
    )
    def test_a_broken_archive(self, web: Files, tmp_path: Path, content: bytes) -> None:
        web.files["/pkg.zip"] = content
        said = refusal(tmp_path, f"{web.address}/pkg.zip", member="pkg/data/model.onnx")
        assert "archive" in said

    @pytest.mark.parametrize("kind", ["zip", "tar", "pax", "xz", "bzip2"])
    def test_what_an_archive_says_of_sizes(self, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Case 31: long lists, long names, large dictionaries; 48 MB at most for each."""
        monkeypatch.setattr(archives, "_LARGEST_LIST", 10 << 20)
        path = tmp_path / f"pkg.{kind}"
        path.write_bytes(bombs(kind))
        tracemalloc.start()
        said = refusal(tmp_path, path.name, member="a.bin")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 48 << 20
        assert {
            "zip": "its list of members is too long",
            "tar": "it has more than 2",
            "pax": "its list of members is too long",
            "xz": "Memory usage limit exceeded",
            "bzip2": "a.bin is packed with bzip2, not with deflate",
        }[kind] in said

    def test_a_zip_whose_content_lies(self, web: Files, tmp_path: Path) -> None:
        whole = bytearray(archive("zip", {"a.bin": b"a" * 1000}))
        whole[40] ^= 0xFF
        web.files["/pkg.zip"] = bytes(whole)
        assert "its archive is broken" in refusal(tmp_path, f"{web.address}/pkg.zip", member="a.bin")


class TestWheels:
    def lock(self, root: Path, *wheels: dict[str, Any], version: str = "1.0", more: str = "") -> None:
        rows = "".join(
            "    { " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in wheel.items()) + " },\n"
            for wheel in wheels
        )
        (root / "uv.lock").write_text(
            f'version = 1\n[[package]]\nname = "silero-vad"\nversion = "{version}"\nwheels = [\n{rows}]\n{more}'
        )

    def test_a_member_of_a_wheel_that_uv_lock_pins(self, web: Files, tmp_path: Path) -> None:
        whole = archive("whl", MEMBERS)
        name = "silero_vad-1.0-py3-none-any.whl"
        web.files[f"/{name}"] = whole
        url = f"{web.address}/{name}"
        linux = {"url": f"{web.address}/silero_vad-1.0-cp311-cp311-linux_x86_64.whl", "hash": f"sha256:{'0' * 64}"}
        self.lock(tmp_path, linux, {"url": url, "hash": f"sha256:{sha256(whole)}", "size": len(whole)})
        found = pin(tmp_path, "archive:Silero_VAD", member="pkg/data/model.onnx")
        assert found.source == "archive:Silero_VAD"
        assert found.files[0].archive == PinnedArchive(sha256(whole), len(whole), url)
        assert fetch(found, Context(tmp_path, Folder(tmp_path / "anew")))["model.onnx"].read_bytes() == whole

    def test_a_wheel_of_other_bytes(self, web: Files, tmp_path: Path) -> None:
        web.files["/silero_vad-1.0-py3-none-any.whl"] = archive("whl", MEMBERS)
        url = f"{web.address}/silero_vad-1.0-py3-none-any.whl"
        self.lock(tmp_path, {"url": url, "hash": f"sha256:{'0' * 64}"})
        said = refusal(tmp_path, "archive:silero-vad", member="pkg/data/model.onnx")
        assert f"its SHA-256 should be {'0' * 64}, and is " in said

    def test_what_uv_lock_lacks(self, tmp_path: Path) -> None:
        assert refusal(tmp_path, "archive:silero-vad", member="a") == (
            f"{WHERE}: takes a file out of a wheel in uv.lock, and there is no uv.lock\n  hint: uv lock"
        )
        self.lock(tmp_path)
        assert refusal(tmp_path, "archive:silero-vad", member="a") == (
            f"{WHERE}: uv.lock has no wheel of silero-vad with an address and a hash\n"
            "  hint: give the address of an archive instead, with member and sha256"
        )
        assert refusal(tmp_path, "archive:other", member="a") == (
            f"{WHERE}: uv.lock has no package other\n  hint: add it to the project: uv add other"
        )
        self.lock(tmp_path, more='[[package]]\nname = "silero-vad"\nversion = "2.0"\n')
        assert "uv.lock has silero-vad more than once (1.0, 2.0)" in refusal(tmp_path, "archive:silero-vad", member="a")
