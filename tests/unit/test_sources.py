"""https:, github:, paths and archives: what is pinned, what is read again, and what is refused."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import json
import os
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.loopback import Asked, Reply, listen, ranged

from nixgen.artifacts.model import ArtifactSpec, PinnedArchive, PinnedArtifact, PinnedFile, content_commit
from nixgen.artifacts.sources import Context, fetch, resolve
from nixgen.artifacts.sources.transfer import Wanted, read
from nixgen.artifacts.sources.web import Client
from nixgen.artifacts.store import Folder
from nixgen.errors import MachineError, NixgenError, UserError

WHERE = "models.toml: models.vad"
DATA = bytes(range(256)) * 12_000  # 3 MB: more than what is read again rather than resumed


@dataclass
class Files:
    """A server of files by path. ``cuts`` are the bytes after which the next answers break off."""

    files: dict[str, bytes] = field(default_factory=dict)
    etag: str | None = '"one"'
    cuts: list[int] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    tamper: Callable[[Asked, Reply], Reply | None] | None = None
    address: str = ""

    def answer(self, asked: Asked, body: bytes) -> Reply:
        del body
        self.asked.append(asked)
        if asked.path not in self.files:
            return Reply(404)
        reply = ranged(asked, self.files[asked.path], {"ETag": self.etag} if self.etag else {})
        if self.cuts:
            reply.cut = self.cuts.pop(0)
        return (self.tamper(asked, reply) if self.tamper else None) or reply

    def ranges(self) -> list[str | None]:
        return [asked.headers.get("Range") for asked in self.asked]


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Files]:
    for name in ("NETRC", "GH_TOKEN", "GITHUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("time.sleep", lambda _: None)
    files = Files({"/models/vad.onnx": DATA})
    with listen(files.answer) as files.address:
        yield files


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def spec(source: str, **changes: Any) -> ArtifactSpec:
    return dataclasses.replace(ArtifactSpec("models", "vad", source, where=WHERE), **changes)


def context(root: Path) -> Context:
    return Context(root, Folder(root / "held"))


def pin(root: Path, source: str, **changes: Any) -> PinnedArtifact:
    return resolve(spec(source, **changes), None, context(root))


def refusal(root: Path, source: str, kind: type[NixgenError] = UserError, **changes: Any) -> str:
    with pytest.raises(kind) as caught:
        pin(root, source, **changes)
    return str(caught.value)


class TestHttps:
    def test_a_file_is_read_pinned_and_held(self, web: Files, tmp_path: Path) -> None:
        url = f"{web.address}/models/vad.onnx"
        found = pin(tmp_path, url)
        assert found.files == (PinnedFile("vad.onnx", len(DATA), sha256(DATA), url),)
        assert (found.scheme, found.commit) == ("https", None)
        places = fetch(found, context(tmp_path))
        assert places["vad.onnx"].read_bytes() == DATA
        assert len(web.asked) == 1

    def test_with_the_layout_hf_it_has_a_commit_of_its_own(self, web: Files, tmp_path: Path) -> None:
        found = pin(tmp_path, f"{web.address}/models/vad.onnx", layout=("hf",), repo="org/vad")
        assert (found.commit, found.repo) == (content_commit(found.files), "org/vad")

    def test_what_is_held_is_not_read(self, web: Files, tmp_path: Path) -> None:
        first = pin(tmp_path, f"{web.address}/models/vad.onnx")
        assert pin(tmp_path, f"{web.address}/models/vad.onnx", sha256=sha256(DATA)).files == first.files
        assert len(web.asked) == 1

    def test_another_file_than_models_toml_says(self, web: Files, tmp_path: Path) -> None:
        assert refusal(tmp_path, f"{web.address}/models/vad.onnx", sha256="0" * 64) == (
            f"{WHERE}: vad.onnx is not what it should be: its SHA-256 should be {'0' * 64}, and is {sha256(DATA)}\n"
            "    the server, or something on the way to it, gave other bytes "
            f"({web.address}/models/vad.onnx); nothing was pinned"
        )
        assert not list((tmp_path / "held").glob("*"))

    def test_it_goes_on_where_the_server_broke_off(self, web: Files, tmp_path: Path) -> None:
        web.cuts = [1_000_000, 500_000]
        assert pin(tmp_path, f"{web.address}/models/vad.onnx").files[0].sha256 == sha256(DATA)
        assert web.ranges() == [None, "bytes=1000000-", "bytes=1500000-"]
        assert [asked.headers.get("If-Range") for asked in web.asked] == [None, '"one"', '"one"']

    def test_a_file_that_changed_meanwhile_starts_anew(self, web: Files, tmp_path: Path) -> None:
        web.cuts = [1_000_000]

        def tamper(_: Asked, reply: Reply) -> Reply | None:
            if len(web.asked) == 1:
                web.files["/models/vad.onnx"], web.etag = DATA[::-1], '"two"'
            return reply

        web.tamper = tamper
        assert pin(tmp_path, f"{web.address}/models/vad.onnx").files[0].sha256 == sha256(DATA[::-1])

    def test_without_a_validator_it_starts_anew(self, web: Files, tmp_path: Path) -> None:
        web.etag, web.cuts = None, [1_000_000]
        assert pin(tmp_path, f"{web.address}/models/vad.onnx").files[0].sha256 == sha256(DATA)
        assert web.ranges() == [None, None]

    def test_a_later_run_goes_on_where_an_earlier_one_ended(self, web: Files, tmp_path: Path) -> None:
        url = f"{web.address}/models/vad.onnx"
        web.cuts = [1_000_000] + [0] * 20
        assert "the server broke off in the middle\n    run the command again" in refusal(tmp_path, url, MachineError)
        web.cuts.clear()
        web.asked.clear()
        assert pin(tmp_path, url).files[0].sha256 == sha256(DATA)
        assert web.ranges() == ["bytes=1000000-"]
        assert [path.name for path in (tmp_path / "held").iterdir()] == [sha256(DATA)]

    def test_what_an_earlier_run_left_of_other_bytes_is_thrown_away(self, web: Files, tmp_path: Path) -> None:
        wanted = Wanted(f"{web.address}/models/vad.onnx", "vad.onnx", WHERE, sha256(DATA), len(DATA))
        web.cuts = [1_000_000] + [0] * 20
        with pytest.raises(MachineError):
            read(wanted, Client(), tmp_path / "held")
        [part] = (tmp_path / "held").glob("*.part")
        part.write_bytes(b"x" * 1_000_000)
        web.cuts.clear()
        assert read(wanted, Client(), tmp_path / "held").sha256 == sha256(DATA)

    def test_a_file_that_was_read_whole_but_not_taken_over(self, web: Files, tmp_path: Path) -> None:
        url = f"{web.address}/models/vad.onnx"
        web.cuts = [1_000_000] + [0] * 20
        refusal(tmp_path, url, MachineError)
        [part] = (tmp_path / "held").glob("*.part")
        web.cuts.clear()
        for left in (DATA, DATA + b"more"):
            part.write_bytes(left)
            part.with_suffix(".etag").write_text('"one"')
            assert pin(tmp_path, url).files[0].sha256 == sha256(DATA)
            assert [path.name for path in (tmp_path / "held").iterdir()] == [sha256(DATA)]

    @pytest.mark.parametrize("given", ["bytes 0-2/3072000", "bytes 7-3071999/3072000", "nonsense"])
    def test_another_range_than_was_asked_for(self, web: Files, tmp_path: Path, given: str) -> None:
        web.cuts = [1_000_000]

        def tamper(_: Asked, reply: Reply) -> Reply | None:
            if reply.status == 206:
                reply.headers["Content-Range"] = given
            return reply

        web.tamper = tamper
        said = refusal(tmp_path, f"{web.address}/models/vad.onnx", MachineError)
        assert "the server gave another part of the file than it was asked for" in said

    def test_a_login_of_netrc_stays_with_its_host(self, web: Files, tmp_path: Path) -> None:
        (tmp_path / "home").mkdir()
        (tmp_path / "home/.netrc").write_text("machine localhost login me password secret\n")
        target = f"{web.address}/models/vad.onnx"
        first: list[Asked] = []

        def answer(asked: Asked, _: bytes) -> Reply:
            first.append(asked)
            return Reply(302, {"Location": target})

        with listen(answer) as address:
            pin(tmp_path, address.replace("127.0.0.1", "localhost") + "/vad.onnx")
        assert first[0].token == "Basic bWU6c2VjcmV0"
        assert [asked.token for asked in web.asked] == [None]

    def test_addresses_with_credentials_are_refused(self, web: Files, tmp_path: Path) -> None:
        said = refusal(tmp_path, web.address.replace("//", "//me:secret@") + "/models/vad.onnx")
        assert "carries a user name or password" in said
        assert "secret@" not in said

    def test_a_redirect_to_a_file_is_not_followed(self, web: Files, tmp_path: Path) -> None:
        web.tamper = lambda *_: Reply(302, {"Location": "file:///etc/passwd"})
        assert "302" in refusal(tmp_path, f"{web.address}/models/vad.onnx", MachineError)

    def test_absent(self, web: Files, tmp_path: Path) -> None:
        assert refusal(tmp_path, f"{web.address}/nowhere.onnx", MachineError) == (
            f"{web.address}/nowhere.onnx: the server answered 404 Not Found\n"
            "    check the address, and the network or proxy"
        )

    def test_compressed_on_the_way(self, web: Files, tmp_path: Path) -> None:
        web.tamper = lambda _, reply: Reply(200, {"Content-Encoding": "gzip"}, gzip.compress(reply.body))
        said = refusal(tmp_path, f"{web.address}/models/vad.onnx", MachineError)
        assert "the server compresses what it was asked not to" in said

    def test_an_empty_file(self, web: Files, tmp_path: Path) -> None:
        web.files["/empty.bin"] = b""
        assert pin(tmp_path, f"{web.address}/empty.bin").files[0].sha256 == sha256(b"")

    def test_memory_does_not_grow_with_the_file(self, web: Files, tmp_path: Path) -> None:
        web.files["/large.bin"] = bytes(48 << 20)
        tracemalloc.start()
        pin(tmp_path, f"{web.address}/large.bin")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 16 << 20


class TestGithub:
    @pytest.fixture
    def api(self, web: Files, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        monkeypatch.setenv("GITHUB_API_URL", f"{web.address}/api")
        asset = {"name": "vad.onnx", "size": len(DATA), "browser_download_url": f"{web.address}/models/vad.onnx"}
        release = {"tag_name": "v1.0", "assets": [asset | {"digest": f"sha256:{sha256(DATA)}"}]}

        def tamper(asked: Asked, reply: Reply) -> Reply | None:
            if asked.path == "/api/repos/org/vad/releases/tags/v1.0":
                return Reply.json(release)
            if asked.path == "/api/repos/org/vad/commits/v1.0":
                return Reply.json({"sha": "c" * 40})
            return reply

        web.tamper = tamper
        web.files |= {"/api/repos/org/vad/releases/tags/v1.0": b"", "/api/repos/org/vad/commits/v1.0": b""}
        return release

    @pytest.mark.usefixtures("api")
    def test_the_release_s_digest_is_the_pin(self, web: Files, tmp_path: Path) -> None:
        found = pin(tmp_path, "github:org/vad@v1.0/vad.onnx")
        assert found.commit == "c" * 40
        assert found.files == (PinnedFile("vad.onnx", len(DATA), sha256(DATA), f"{web.address}/models/vad.onnx"),)
        assert not any(asked.path.startswith("/models") for asked in web.asked)
        assert fetch(found, context(tmp_path))["vad.onnx"].read_bytes() == DATA

    @pytest.mark.parametrize("digest", [None, "md5:0123", "sha256:short"])
    def test_a_release_without_a_digest_is_read(self, tmp_path: Path, api: dict[str, Any], digest: str | None) -> None:
        api["assets"][0]["digest"] = digest
        assert pin(tmp_path, "github:org/vad@v1.0/vad.onnx").files[0].sha256 == sha256(DATA)

    def test_a_digest_of_other_bytes(self, tmp_path: Path, api: dict[str, Any]) -> None:
        api["assets"][0]["digest"] = f"sha256:{'0' * 64}"
        found = pin(tmp_path, "github:org/vad@v1.0/vad.onnx")
        with pytest.raises(UserError, match=r"vad\.onnx is not what it should be: its SHA-256 should be 0000"):
            fetch(found, context(tmp_path))

    @pytest.mark.usefixtures("api")
    def test_absent(self, tmp_path: Path) -> None:
        assert refusal(tmp_path, "github:org/vad@v1.0/other.onnx") == (
            f"{WHERE}: the release v1.0 of org/vad has no file other.onnx\n    it has: vad.onnx"
        )
        assert refusal(tmp_path, "github:org/vad@v2.0/vad.onnx") == (
            f"{WHERE}: GitHub has no release v2.0 of org/vad, or it is private\n"
            "    check the names; for a private one set GH_TOKEN"
        )

    @pytest.mark.usefixtures("api")
    def test_the_token_goes_to_the_interface_alone(
        self, web: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GH_TOKEN", "gh_secret")
        monkeypatch.setenv("GITHUB_API_URL", f"{web.address}/api".replace("127.0.0.1", "localhost"))
        fetch(pin(tmp_path, "github:org/vad@v1.0/vad.onnx"), context(tmp_path))
        assert [asked.token for asked in web.asked] == ["Bearer gh_secret", "Bearer gh_secret", None]


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
        assert f"link.bin is a link that leads out of {project}, to where no teammate has it" in said
        assert "link that leads out of" in refusal(project, "weights/link.bin")

    def test_links_to_nowhere_and_to_folders(self, root: Path) -> None:
        (root / "weights/loop").symlink_to("loop")
        assert "loop is a link that leads nowhere\n    mend or remove it" in refusal(root, "weights")
        (root / "weights/loop").unlink()
        (root / "weights/folder").symlink_to("sub")
        assert "folder is a link to a folder, which nixgen does not follow" in refusal(root, "weights")

    def test_neither_a_file_nor_a_folder(self, root: Path) -> None:
        os.mkfifo(root / "weights/pipe")
        assert "pipe is neither a file nor a folder\n    remove it" in refusal(root, "weights")

    def test_names_that_are_no_text(self, root: Path) -> None:
        Path(os.fsdecode(os.fsencode(root / "weights") + b"/bad\xff.bin")).write_bytes(b"")
        assert "has the file 'bad\\udcff.bin', which is not UTF-8 text" in refusal(root, "weights")

    def test_absent_and_empty(self, root: Path) -> None:
        assert refusal(root, "nowhere.bin") == (
            f"{WHERE}: there is no nowhere.bin\n    check the path; it starts at models.toml's folder"
        )
        (root / "empty").mkdir()
        assert refusal(root, "empty") == f"{WHERE}: empty has no files\n    check the source, and the revision"

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


def archive(kind: str, members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    if kind in ("zip", "whl"):
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zipped:
            for name, content in members.items():
                zipped.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), content)
        return out.getvalue()
    with tarfile.open(None, f"w:{kind.partition('.')[2]}", out) as tarred:  # type: ignore[call-overload]
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tarred.addfile(entry, io.BytesIO(content))
    return out.getvalue()


MEMBERS = {"pkg/data/model.onnx": DATA, "pkg/data/sub/labels.txt": b"a\nb\n", "pkg/__init__.py": b""}


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
            "    it has, for example: pkg/__init__.py, pkg/data/../../../outside, pkg/data/model.onnx …"
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
        assert said == f"{WHERE}: the archive has a.bin 2 times\n    tell its publisher"

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
            f"{WHERE}: takes a file out of a wheel in uv.lock, and there is no uv.lock\n    uv lock"
        )
        self.lock(tmp_path)
        assert refusal(tmp_path, "archive:silero-vad", member="a") == (
            f"{WHERE}: uv.lock has no wheel of silero-vad with an address and a hash\n"
            "    give the address of an archive instead, with member and sha256"
        )
        assert refusal(tmp_path, "archive:other", member="a") == (
            f"{WHERE}: uv.lock has no package other\n    add it to the project: uv add other"
        )
        self.lock(tmp_path, more='[[package]]\nname = "silero-vad"\nversion = "2.0"\n')
        assert "uv.lock has silero-vad more than once (1.0, 2.0)" in refusal(tmp_path, "archive:silero-vad", member="a")
