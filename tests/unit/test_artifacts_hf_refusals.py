"""hf: sources, against a hub that answers wrongly: nothing of it is trusted."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.hfsource import WHERE, a_hub, commit_of, pin, refusal

from nixgen.artifacts.manifest import parse_manifest
from nixgen.artifacts.sources import Context, fetch
from nixgen.artifacts.store import Folder
from nixgen.errors import MachineError, UserError

if TYPE_CHECKING:
    from support.hub import Asked, Hub, Reply


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with a_hub(monkeypatch, tmp_path) as running:
        yield running


def tampering(path: str, change: Callable[[Any], object]) -> Callable[[Asked, Reply], Reply | None]:
    """Changes the JSON of every answer whose address holds ``path``."""

    def tamper(asked: Asked, reply: Reply) -> Reply | None:
        if path not in asked.path or reply.status != 200:
            return None
        value = json.loads(reply.body)
        changed = change(value)
        reply.body = json.dumps(value if changed is None else changed).encode()
        return reply

    return tamper


def test_another_commit(hub: Hub, tmp_path: Path) -> None:
    repo = hub.repos["model", "org/model"]
    asked = commit_of(hub)
    other = repo.commit({"config.json": b"{}"})
    hub.tamper = tampering("/revision/", lambda info: info.update(sha=other))
    assert refusal(tmp_path, MachineError, revision=asked) == (
        f"{WHERE}: the hub at {hub.endpoint} was asked for the commit {asked}, and answered with {other} (org/model)\n"
        "  hint: nothing was pinned; try again later"
    )


def test_a_commit_that_is_none(hub: Hub, tmp_path: Path) -> None:
    hub.tamper = tampering("/revision/", lambda info: info.update(sha="main"))
    assert "sha: should be 40 hexadecimal digits in the server's answer, and is 'main'" in refusal(
        tmp_path, MachineError
    )


def test_a_file_of_another_commit(hub: Hub, tmp_path: Path) -> None:
    def tamper(asked: Asked, reply: Reply) -> Reply | None:
        if asked.path.endswith("config.json"):
            reply.headers["X-Repo-Commit"] = "f" * 40
        return reply

    hub.tamper = tamper
    assert f"was asked for a file of the commit {commit_of(hub)}, and gave one of '{'f' * 40}'" in refusal(
        tmp_path, MachineError
    )


@pytest.mark.parametrize("size", [1, 5000])
def test_other_bytes(hub: Hub, tmp_path: Path, size: int) -> None:
    """Of the same size: in a small file, which is only in git, at the first, middle and last byte."""
    content = bytes(range(256)) * 20
    hub.repo("org/model", {"vocab.txt": content[:size]})
    for place in {0, size // 2, size - 1}:

        def tamper(asked: Asked, reply: Reply, place: int = place) -> Reply | None:
            if "/resolve/" in asked.path:
                changed = bytearray(reply.body)
                changed[place] ^= 1
                reply.body = bytes(changed)
            return reply

        hub.tamper = tamper
        assert "vocab.txt is not what it should be: its git blob id should be " in refusal(tmp_path)
    assert not list((tmp_path / "held").glob("?" * 64))


def test_other_bytes_of_a_large_file(hub: Hub, tmp_path: Path) -> None:
    found = pin(tmp_path, include=("*.onnx",))

    def tamper(asked: Asked, reply: Reply) -> Reply | None:
        if asked.host == "cdn":
            reply.body = reply.body[:-1] + b"!"
        return reply

    hub.tamper = tamper
    with pytest.raises(UserError, match=r"onnx/model\.onnx is not what it should be: its SHA-256 should be "):
        fetch(found, Context(tmp_path, Folder(tmp_path / "held")))
    assert not list((tmp_path / "held").glob("?" * 64))


@pytest.mark.parametrize("body", [b"{}", b'{"model_type": "bert"}\nmore', b""])
def test_another_size(hub: Hub, tmp_path: Path, body: bytes) -> None:
    def tamper(asked: Asked, reply: Reply) -> Reply | None:
        if asked.path.endswith("config.json"):
            reply.body = body
        return reply

    hub.tamper = tamper
    assert f"config.json is not what it should be: its size should be 23 bytes, and is {len(body)} bytes" in refusal(
        tmp_path
    )


def test_a_size_that_contradicts_itself(hub: Hub, tmp_path: Path) -> None:
    hub.tamper = tampering("/tree/", lambda rows: [row.update(size=7) for row in rows if "lfs" in row] and None)
    assert "model.safetensors: the hub says 7 bytes and 7000 bytes" in refusal(tmp_path, MachineError)


def test_half_a_page(hub: Hub, tmp_path: Path) -> None:
    def tamper(asked: Asked, reply: Reply) -> Reply | None:
        if "/tree/" in asked.path:
            reply.cut = len(reply.body) // 2
        return reply

    hub.tamper = tamper
    assert "the answer is cut off or is not JSON\n  hint: run the command again" in refusal(tmp_path, MachineError)


@pytest.mark.parametrize("lost", ["link", "rows"])
def test_a_listing_without_its_other_half(hub: Hub, tmp_path: Path, lost: str) -> None:
    hub.page = 4

    def tamper(asked: Asked, reply: Reply) -> Reply | None:
        if "/tree/" not in asked.path:
            return None
        if lost == "link":
            reply.headers.pop("Link", None)
        elif "cursor" in asked.target:
            reply.body = b"[]"
        return reply

    hub.tamper = tamper
    said = refusal(tmp_path, MachineError)
    assert (
        "gave only a part of its listing; 3 files are not in it: empty.txt, model.safetensors, onnx/model.onnx" in said
    )


def test_a_listing_that_leads_elsewhere_or_round(hub: Hub, tmp_path: Path) -> None:
    for address in (
        f"{hub.cdn}/more",
        f"{hub.endpoint}/api/models/org/model/tree/{commit_of(hub)}?recursive=true&expand=false",
    ):

        def tamper(asked: Asked, reply: Reply, address: str = address) -> Reply | None:
            if "/tree/" in asked.path:
                reply.headers["Link"] = f'<{address}>; rel="next"'
            return reply

        hub.tamper = tamper
        assert "the pages of its listing loop" in refusal(tmp_path, MachineError)


def test_a_listing_ends(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 31: page after page of files, each with a long name."""
    from nixgen.artifacts.sources import hf

    monkeypatch.setattr(hf, "_LARGEST_LISTING", 100_000)
    row = {"type": "file", "oid": "0" * 40, "size": 1, "lfs": {"oid": "0" * 64, "size": 1}}
    number = iter(range(1000))

    def tamper(asked: Asked, reply: Reply) -> Reply | None:
        if "/tree/" in asked.path:
            reply.headers["Link"] = f'<{hub.endpoint}/api/models/org/model/tree/{next(number)}>; rel="next"'
            reply.body = json.dumps([{"path": f"{next(number)}{'x' * 1000}", **row} for _ in range(5)]).encode()
            reply.status = 200
            reply.headers.pop("Content-Length", None)
        return reply

    hub.tamper = tamper
    assert "org/model has more than 22 files, too many to pin" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("../outside", 'leads out of its folder with ".."'),
        ("a/../../outside", 'leads out of its folder with ".."'),
        ("/etc/passwd", "is not a relative path"),
        ("~tilde", "is not a relative path"),
        ("a\\b[1]*?.bin", "has a backslash in it"),
        ("a//b", 'has an empty part or a "." in it'),
        ("a\nb", "has a control character in it"),
        ("bad\udcff", "is not UTF-8 text"),
        ("", "is empty"),
        ("CONFIG.json", 'differs from "CONFIG.json" only in the case or form of its letters'),
        ("config.json/more", 'is a file, and "config.json" is a folder'),
    ],
)
def test_paths_that_may_not_be(hub: Hub, tmp_path: Path, path: str, fault: str) -> None:
    extra = {"type": "file", "oid": "0" * 40, "size": 1, "path": path, "lfs": {"oid": "0" * 64, "size": 1}}
    hub.tamper = tampering("/tree/", lambda rows: [*rows, extra])
    said = refusal(tmp_path)
    assert fault in said
    assert not any("/resolve/" in target for target in hub.targets())
    # Case 20: what the message says to type works, whatever the file is called.
    advice = said.partition("leave it out: ")[2].partition("\n")[0]
    if path:
        given = parse_manifest(tomllib.loads(f'version = 1\n[models.minilm]\nsource = "hf:org/model"\n{advice}\n'))
        assert pin(tmp_path, exclude=given.models[0].exclude).files


def test_the_same_path_twice(hub: Hub, tmp_path: Path) -> None:
    hub.tamper = tampering("/tree/", lambda rows: [*rows, rows[-1]])
    assert "lists 'onnx/model.onnx' twice" in refusal(tmp_path, MachineError)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"oid": "0" * 63}, "oid: should be 40 hexadecimal digits in the server's answer, and is '000"),
        ({"size": -1}, "size: should be a whole number in the server's answer, and is -1"),
        ({"size": 1 << 63}, "size: should be a whole number in the server's answer, and is 9223372036854775808"),
        ({"size": True}, "size: should be a whole number in the server's answer, and is True"),
        ({"path": None}, "path: should be a text in the server's answer, and is None"),
        (
            {"lfs": {"oid": "A" * 64, "size": 1}},
            "oid: should be 64 hexadecimal digits in the server's answer, and is 'AAA",
        ),
        ({"lfs": {"oid": "d41d8cd98f00b204e9800998ecf8427e", "size": 1}}, "and is 'd41d8cd98f00b204e9800998ecf8427e'"),
        ({"lfs": []}, "should be an object in the server's answer, and is []"),
    ],
)
def test_rows_of_another_shape(hub: Hub, tmp_path: Path, change: dict[str, object], sentence: str) -> None:
    hub.tamper = tampering("/tree/", lambda rows: rows[-1].update(change))
    assert sentence in refusal(tmp_path, MachineError)


def test_a_xet_file_without_lfs_details_is_asked_for(hub: Hub, tmp_path: Path) -> None:
    hub.tamper = tampering("/tree/", lambda rows: [row.pop("lfs") for row in rows if row.get("xetHash")] and None)
    found = pin(tmp_path, include=("*.safetensors",))
    assert found.files[0].sha256 == hashlib.sha256(b"weights" * 1000).hexdigest()
    assert hub.targets("cdn") == [f"/xet/{found.files[0].sha256}"]
