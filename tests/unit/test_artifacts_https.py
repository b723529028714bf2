"""https: and github: sources: what is pinned, what is read again, and what is refused."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.loopback import Asked, Reply, listen
from support.sources import DATA, WHERE, Files, context, file_server, pin, refusal, sha256

from nixgen.artifacts.http.client import Client
from nixgen.artifacts.http.transfer import Wanted, read
from nixgen.artifacts.model import PinnedFile, content_commit
from nixgen.artifacts.sources import fetch
from nixgen.errors import MachineError, UserError


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Files]:
    with file_server(monkeypatch, tmp_path) as files:
        yield files


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
            "  hint: the server, or a proxy before it, gave different bytes "
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
        assert "the server broke off in the middle\n  hint: run the command again" in refusal(
            tmp_path, url, MachineError
        )
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
            "  hint: check the address, and the network or proxy"
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
            f"{WHERE}: the release v1.0 of org/vad has no file other.onnx\n  hint: it has: vad.onnx"
        )
        assert refusal(tmp_path, "github:org/vad@v2.0/vad.onnx") == (
            f"{WHERE}: GitHub has no release v2.0 of org/vad, or it is private\n"
            "  hint: check the names; for a private one set GH_TOKEN"
        )

    @pytest.mark.usefixtures("api")
    def test_the_token_goes_to_the_interface_alone(
        self, web: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GH_TOKEN", "gh_secret")
        monkeypatch.setenv("GITHUB_API_URL", f"{web.address}/api".replace("127.0.0.1", "localhost"))
        fetch(pin(tmp_path, "github:org/vad@v1.0/vad.onnx"), context(tmp_path))
        assert [asked.token for asked in web.asked] == ["Bearer gh_secret", "Bearer gh_secret", None]
