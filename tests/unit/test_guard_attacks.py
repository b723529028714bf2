"""The guard against every way in which a folder can differ from its pins."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.guarded import FILES
from support.tree import fill, flip, problems, sha256, tree

from nixgen import guard
from nixgen.guard import checking


@pytest.fixture
def model(tmp_path: Path) -> guard.Tree:
    return tree(fill(tmp_path / "model", FILES), FILES)


def folder(model: guard.Tree) -> Path:
    return Path(model.folder)


def test_the_pinned_files_are_verified(model: guard.Tree) -> None:
    report = guard.check([model])
    assert report.ok
    assert report.hashed == sum(map(len, FILES.values()))
    assert report.targets[model.folder, "config.json"] == str(folder(model) / "config.json")
    assert report.text().startswith("verified: 1.2 MiB in 4 files, ")


@pytest.mark.parametrize("offset", [0, 640_000, -1])
@pytest.mark.parametrize("bit", [0, 7])
def test_one_flipped_bit(model: guard.Tree, offset: int, bit: int) -> None:
    flip(folder(model) / "model.onnx", offset, bit)
    report = guard.check([model])
    assert problems(report) == [("model.onnx", "changed")]
    assert report.findings[0].expected == model.files[2].sha256
    assert str(report.findings[0]).startswith("models.m: model.onnx: is changed: SHA-256 ")


@pytest.mark.parametrize("left", [0, 1, len(FILES["model.onnx"]) - 1])
def test_truncation(model: guard.Tree, left: int) -> None:
    os.truncate(folder(model) / "model.onnx", left)
    report = guard.check([model])
    assert [str(found) for found in report.findings] == [f"models.m: model.onnx: is changed: {left} bytes, not 1280000"]
    assert report.hashed == len(FILES["config.json"]) + 4  # a wrong size is told without reading


def test_a_byte_more(model: guard.Tree) -> None:
    (folder(model) / "empty").write_bytes(b"x")
    assert problems(guard.check([model])) == [("empty", "changed")]


@pytest.mark.parametrize("name", ["extra.bin", "nested/extra.bin", ".hidden", "nested/deep/vocab.txt~", "config.JSON"])
def test_an_extra_file(model: guard.Tree, name: str) -> None:
    (folder(model) / name).write_bytes(b"")
    assert problems(guard.check([model])) == [(name, "extra")]


def test_an_extra_folder_is_told_once_and_not_entered(model: guard.Tree) -> None:
    fill(folder(model) / "more", {"a": b"", "b/c": b""})
    report = guard.check([model])
    assert [str(found) for found in report.findings] == ["models.m: more: is extra: a folder"]


def test_a_missing_file_and_a_missing_folder(model: guard.Tree) -> None:
    (folder(model) / "config.json").unlink()
    (folder(model) / "nested/deep/vocab.txt").unlink()
    (folder(model) / "nested/deep").rmdir()
    assert problems(guard.check([model])) == [("config.json", "missing"), ("nested/deep/vocab.txt", "missing")]


def test_the_whole_folder_is_missing(tmp_path: Path) -> None:
    report = guard.check([tree(tmp_path / "nowhere", FILES)])
    assert [str(found) for found in report.findings] == ["models.m: .: is missing"]


def test_missing_extra_and_changed_are_told_apart(model: guard.Tree) -> None:
    (folder(model) / "config.json").rename(folder(model) / "config.json.old")
    flip(folder(model) / "nested/deep/vocab.txt", 0)
    assert problems(guard.check([model])) == [
        ("config.json", "missing"),
        ("config.json.old", "extra"),
        ("nested/deep/vocab.txt", "changed"),
    ]


def test_links_inside_the_folder_and_into_the_store_are_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    fill(store, {"0000-a": b"a", "1111-tree/b": b"b"})
    monkeypatch.setenv("NIX_STORE_DIR", str(store))
    model = tmp_path / "model"
    fill(model, {"c": b"c"})
    (model / "a").symlink_to(store / "0000-a")
    (model / "folder").symlink_to(store / "1111-tree")
    (model / "d").symlink_to("c")
    expected = tree(model, {"a": b"a", "folder/b": b"b", "c": b"c", "d": b"c"})
    report = guard.check([expected], nix=False)
    assert report.ok
    assert report.hashed == 3  # what two paths lead to is hashed once
    assert report.targets[str(model), "folder/b"] == str(store / "1111-tree/b")


def test_a_link_swapped_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = fill(tmp_path / "store", {"0000-a": b"right", "1111-a": b"wrong"})
    monkeypatch.setenv("NIX_STORE_DIR", str(store))
    model = fill(tmp_path / "model", {})
    (model / "a").symlink_to(store / "0000-a")
    expected = tree(model, {"a": b"right"})
    assert guard.check([expected], nix=False).ok
    (model / "a").unlink()
    (model / "a").symlink_to(store / "1111-a")
    assert problems(guard.check([expected], nix=False)) == [("a", "changed")]


def test_a_link_out_of_the_folder_is_not_followed_even_to_the_right_bytes(model: guard.Tree, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(FILES["config.json"])
    (folder(model) / "config.json").unlink()
    (folder(model) / "config.json").symlink_to("../outside")
    report = guard.check([model])
    assert [str(found) for found in report.findings] == [
        f"models.m: config.json: is a link that leads out of the folder and not into the store: {outside}"
    ]


def test_a_folder_that_is_a_link_out(model: guard.Tree, tmp_path: Path) -> None:
    (folder(model) / "nested").rename(tmp_path / "moved")
    (folder(model) / "nested").symlink_to(tmp_path / "moved")
    assert problems(guard.check([model])) == [("nested", "link")]


def test_a_folder_beside_with_the_same_start_is_outside(tmp_path: Path) -> None:
    model = fill(tmp_path / "model", {})
    (model / "a").symlink_to(fill(tmp_path / "model-other", {"a": b"a"}) / "a")
    assert problems(guard.check([tree(model, {"a": b"a"})])) == [("a", "link")]


@pytest.mark.parametrize("target", ["nothing", "config.json", "."])
def test_links_to_nothing_to_themselves_and_to_folders(model: guard.Tree, target: str) -> None:
    (folder(model) / "config.json").unlink()
    (folder(model) / "config.json").symlink_to(target)
    expected = "kind" if target == "." else "link"
    assert problems(guard.check([model])) == [("config.json", expected)]


def test_links_in_a_circle_of_folders_end(tmp_path: Path) -> None:
    model = fill(tmp_path / "model", {"a/b": b""})
    (model / "a/a").symlink_to("..")
    assert problems(guard.check([tree(model, {"a/b": b"", "a/a/a/b": b""})])) == [("a/a/a/a", "extra")]
    assert problems(guard.check([tree(model, {"a/b": b""})])) == [("a/a", "extra")]


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    os.mknod(path, 0o600 | 0o020000, os.makedev(1, 3))


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize(
    ("make", "said"),
    [(_fifo, "a FIFO"), (_device, "a device"), (_socket, "a socket"), (Path.mkdir, "a folder")],
)
def test_what_is_no_file_where_a_file_is_expected(tmp_path: Path, make: Callable[[Path], None], said: str) -> None:
    model = fill(tmp_path / "m", {"b": b""})
    try:
        make(model / "a")
    except PermissionError:
        pytest.skip("may not make a device here")
    report = guard.check([tree(model, {"a": b"", "b": b""})])
    assert [str(found) for found in report.findings] == [f"models.m: a: is {said}, not a file"]
    assert problems(guard.check([tree(model, {"b": b""})])) == [("a", "extra")]


def test_a_file_where_a_folder_is_expected(tmp_path: Path) -> None:
    model = fill(tmp_path / "m", {"a": b""})
    report = guard.check([tree(model, {"a/b": b""})])
    assert [str(found) for found in report.findings] == ["models.m: a: is a file, not a folder"]


def test_same_size_and_restored_times(model: guard.Tree) -> None:
    path = folder(model) / "config.json"
    before = path.stat()
    flip(path, 3)
    after = path.stat()
    assert (before.st_size, before.st_mtime_ns, before.st_ino) == (after.st_size, after.st_mtime_ns, after.st_ino)
    assert problems(guard.check([model])) == [("config.json", "changed")]


def test_names_that_differ_only_in_case(tmp_path: Path) -> None:
    both = {"Model.bin": b"upper", "model.bin": b"lower"}
    model = fill(tmp_path / "m", both)
    assert guard.check([tree(model, both)]).ok
    (model / "model.bin").unlink()
    assert problems(guard.check([tree(model, both)])) == [("model.bin", "missing")]
    (model / "Model.bin").rename(model / "MODEL.bin")
    assert problems(guard.check([tree(model, both)])) == [
        ("MODEL.bin", "extra"),
        ("Model.bin", "missing"),
        ("model.bin", "missing"),
    ]


def test_names_of_one_look_in_two_forms_of_unicode(tmp_path: Path) -> None:
    composed, decomposed = "\u00e9", "e\u0301"
    model = fill(tmp_path / "m", {composed: b""})
    found = problems(guard.check([tree(model, {decomposed: b""})]))
    assert found == [(decomposed, "missing"), (composed, "extra")]


def test_a_name_that_is_not_utf8_is_extra_and_shown_harmlessly(model: guard.Tree) -> None:
    (Path(os.fsdecode(os.fsencode(model.folder) + b"/b\xff\x1b[31m"))).write_bytes(b"")
    report = guard.check([model])
    assert [str(found) for found in report.findings] == ["models.m: b\\\\xff\\x1b[31m: is extra"]
    assert '"path": "b\\\\xff\\u001b[31m"' in report.json()


@settings(max_examples=40)
@given(
    data=st.binary(min_size=1, max_size=3000),
    cut=st.integers(0, 2999),
    bit=st.integers(0, 7),
)
def test_any_flipped_bit_of_any_content(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, cut: int, bit: int
) -> None:
    model = fill(tmp_path_factory.mktemp("m"), {"a": data})
    assert guard.check([tree(model, {"a": data})]).ok
    flip(model / "a", cut % len(data), bit)
    assert problems(guard.check([tree(model, {"a": data})])) == [("a", "changed")]


def test_a_cache_of_the_hub_with_blobs(tmp_path: Path) -> None:
    commit = "c" * 40
    entry = {
        "repo": "org/name",
        "commit": commit,
        "revision": "main",
        "files": [{"path": "a/b.json", "size": 1, "sha256": sha256(b"x")}],
    }
    hub = tmp_path / "models--org--name"
    fill(hub, {"blobs/1234": b"x", "refs/main": commit.encode()})
    (hub / f"snapshots/{commit}/a").mkdir(parents=True)
    (hub / f"snapshots/{commit}/a/b.json").symlink_to("../../../blobs/1234")
    model = guard.locked(entry, "models", "m", str(tmp_path))
    report = guard.check([model])
    assert report.ok, report.text()
    assert checking._verified(model, report).files == {"a/b.json": str(hub / "blobs/1234")}
    fill(hub, {"blobs/5678": b"y", "refs/main": commit.encode() + b"\n"})
    assert problems(guard.check([model])) == [
        ("models--org--name/blobs/5678", "extra"),
        ("models--org--name/refs/main", "changed"),
    ]
