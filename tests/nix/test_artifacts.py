"""Models and data in the store: each file by its own hash, each folder laid out as the one who loads it expects."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lab import Lab, lines_with, tree
from pinned import COMMIT, Rows, digest

from nixgen.artifacts.store import Store, store_name

CONFIG = b'{"model_type": "bert"}\n'
WEIGHTS = bytes(range(256)) * 40
FILES = {"config.json": CONFIG, "onnx/model.onnx": WEIGHTS}
SNAPSHOT = f"models--org--minilm/snapshots/{COMMIT}"


@pytest.fixture
def rows(lab: Lab) -> Rows:
    return Rows(lab.index)


def built(lab: Lab, attribute: str) -> Path:
    return lab.nix.real(lab.build(attribute))


def content(lab: Lab, path: Path) -> bytes:
    """The bytes at a path in a store, through the link that it may be."""
    return lab.nix.real(path.readlink()).read_bytes() if path.is_symlink() else path.read_bytes()


@pytest.mark.one_nix
def test_the_hub_cache_holds_refs_without_a_newline_and_links_to_the_files(each_lab: Lab) -> None:
    lab = Rows(each_lab.index).add("models.minilm", FILES, repo="org/minilm", revision="main").on(each_lab)
    folder = built(lab, "models.minilm")
    assert tree(folder) == [
        "models--org--minilm/refs/main",
        f"{SNAPSHOT}/config.json",
        f"{SNAPSHOT}/onnx/model.onnx",
    ]
    assert (folder / "models--org--minilm/refs/main").read_bytes() == COMMIT.encode()
    for path, expected in FILES.items():
        link = folder / SNAPSHOT / path
        assert link.is_symlink()
        assert str(link.readlink()).startswith("/nix/store/")
        assert content(lab, link) == expected


@pytest.mark.parametrize(
    ("more", "files"),
    [
        ({"revision": "refs/pr/1"}, ["models--org--x/refs/refs/pr/1"]),
        ({"revision": None}, ["models--org--x/refs/main"]),
        ({"revision": COMMIT}, []),
        ({"repo": "gpt2", "revision": "v1.0"}, ["models--gpt2/refs/v1.0"]),
        ({"repoType": "dataset"}, ["datasets--org--x/refs/main"]),
        ({"repoType": "space"}, ["spaces--org--x/refs/main"]),
    ],
)
def test_where_a_repo_and_its_revision_lie(lab: Lab, rows: Rows, more: dict[str, Any], files: list[str]) -> None:
    lab = rows.add("models.x", {}, **{"repo": "org/x", **more}).on(lab)
    found = tree(built(lab, "models.x"))
    assert found == files


def test_each_layout_is_an_attribute_and_the_first_is_what_is_built(lab: Lab, rows: Rows) -> None:
    rows.add("models.both", FILES, repo="org/minilm", layout=["plain", "hf"])
    rows.add("data.sales", {"2024/a.csv": b"a,b\n"})
    lab = rows.on(lab)
    assert tree(built(lab, "models.both")) == ["config.json", "onnx/model.onnx"]
    assert tree(built(lab, "models.both.hf"))[0] == "models--org--minilm/refs/main"
    assert content(lab, built(lab, "data.sales") / "2024/a.csv") == b"a,b\n"
    assert tree(built(lab, "cache"))[0] == "models--org--minilm/refs/main"


def test_all_models_are_one_folder_and_one_cache_and_all_data_another(lab: Lab, rows: Rows) -> None:
    rows.add("models.one", {"a": b"1"}, repo="org/one", revision="main")
    rows.add("models.again", {"b": b"2"}, repo="org/one", revision="v2", commit="f" * 40)
    rows.add("models.plain", {"c": b"3"})
    rows.add("data.set", {"d": b"4"}, repo="org/set", repoType="dataset")
    lab = rows.on(lab)
    assert tree(built(lab, "cache")) == [
        "datasets--org--set/refs/main",
        f"datasets--org--set/snapshots/{COMMIT}/d",
        "models--org--one/refs/main",
        "models--org--one/refs/v2",
        f"models--org--one/snapshots/{COMMIT}/a",
        f"models--org--one/snapshots/{'f' * 40}/b",
    ]
    assert tree(built(lab, "models-all")) == ["again", "one", "plain"]
    assert tree(built(lab, "data-all")) == ["set"]


def test_one_revision_cannot_mean_two_commits(lab: Lab, rows: Rows) -> None:
    rows.add("models.one", {}, repo="org/one", revision="main")
    rows.add("models.two", {}, repo="org/one", revision="main", commit="f" * 40)
    said = rows.on(lab).failure("cache")
    assert (
        f"models--org--one/refs/main would be two commits: {COMMIT} and {'f' * 40}. "
        "Pin one of them in models.toml, then run: nixgen sync"
    ) in said


NAMES = ["model.onnx", ".gitattributes", "a b(1)é.txt", "x" * 240, "~", "1=?+.bin"]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_file_is_the_path_that_adding_it_by_hand_gives(each_lab: Lab, tmp_path: Path, name: str) -> None:
    lab = Rows(each_lab.index).add("models.m", {f"sub/{name}": WEIGHTS}).on(each_lab)
    link = built(lab, "models.m") / "sub" / name
    (tmp_path / store_name(name)).write_bytes(WEIGHTS)
    added = lab.nix.run("nix-store", "--add-fixed", "sha256", tmp_path / store_name(name)).stdout.strip()
    assert str(link.readlink()) == added == str(Store().path(store_name(f"sub/{name}"), digest(WEIGHTS)))


def test_a_download_with_other_bytes_is_refused_by_nix(each_lab: Lab) -> None:
    rows = Rows(each_lab.index).add("models.m", {})
    rows.file("models.m", "model.onnx", b"the pinned bytes", url=rows.serve(b"the planted bytes"))
    assert lines_with(rows.on(each_lab).failure("models.m"), ["hash mismatch", "model.onnx"])


def test_what_only_nixgen_can_fetch_is_told_and_found_in_the_store(each_lab: Lab, tmp_path: Path) -> None:
    table = b"PAR1" + os.urandom(16)  # in no store that is kept between runs
    rows = Rows(each_lab.index).add("data.sales", {"a.parquet": table}, served=False, source="s3://bucket/sales/")
    lab = rows.on(each_lab)
    said = lab.failure("data.sales")
    assert (
        "data.sales: a.parquet cannot be fetched by Nix from s3://bucket/sales/. "
        "Put it into the store: nixgen data fetch sales"
    ) in said
    (tmp_path / "a.parquet").write_bytes(table)
    lab.nix.run("nix-store", "--add-fixed", "sha256", tmp_path / "a.parquet")
    assert content(lab, built(lab, "data.sales") / "a.parquet") == table


def test_a_gated_model_says_where_to_ask_and_nix_does_not_even_try(lab: Lab, rows: Rows) -> None:
    page = f"{lab.index.address}/org/llama"
    lab = rows.add("models.llama", {"w.bin": b"secret"}, repo="org/llama", gated=page).on(lab)
    before = len(lab.index.requests)
    said = lab.failure("models.llama")
    mend = f"Ask for it at {page}, then put the file into the store: nixgen model fetch llama"
    assert f"models.llama: w.bin needs permission. {mend}" in said
    assert len(lab.index.requests) == before


def test_a_file_of_the_project_needs_no_download(lab: Lab, rows: Rows, tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/vad.onnx").write_bytes(WEIGHTS)
    rows.add("models.vad", {}).file("models.vad", "vad.onnx", WEIGHTS, local="weights/vad.onnx")
    lab = rows.on(lab)
    assert content(lab, lab.nix.real(lab.build("models.vad", root=tmp_path)) / "vad.onnx") == WEIGHTS
    (tmp_path / "weights/vad.onnx").write_bytes(WEIGHTS[:-1] + b"?")
    changed = rows.add("models.other", {}).file("models.other", "vad2.onnx", b"?" * 9, local="weights/vad.onnx")
    assert "weights/vad.onnx changed after it was pinned" in changed.on(lab).failure("models.other", root=tmp_path)
    # Also where the pinned file is in the store, so that nothing else would be missed.
    assert "weights/vad.onnx changed after it was pinned" in changed.on(lab).failure("models.vad", root=tmp_path)
    (tmp_path / "weights/vad.onnx").unlink()
    said = changed.on(lab).failure("models.other", root=tmp_path)
    assert "models.other: vad2.onnx is not among the project's files that Nix sees" in said
    assert "Put it into the store: nixgen model fetch other" in said


def zipped(members: dict[str, bytes]) -> bytes:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


def tarred(mode: str) -> Callable[[dict[str, bytes]], bytes]:
    def made(members: dict[str, bytes]) -> bytes:
        with tarfile.open(fileobj=(buffer := io.BytesIO()), mode=mode) as archive:  # type: ignore[call-overload]
            for name, data in members.items():
                entry = tarfile.TarInfo(f"./{name}")
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
            link = tarfile.TarInfo("link.onnx")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(link)
        return buffer.getvalue()

    return made


ARCHIVES = {"zip": zipped, "whl": zipped, "tar": tarred("w"), "tar.gz": tarred("w:gz"), "tar.xz": tarred("w:xz")}


def packed(rows: Rows, kind: str, member: str, expected: bytes) -> Rows:
    archive = ARCHIVES[kind]({"pkg/data/model.onnx": WEIGHTS, "pkg/__init__.py": b""})
    pinned = {"name": f"pkg.{kind}", "sha256": digest(archive), "url": rows.serve(archive)}
    return rows.add("models.vad", {}).file("models.vad", "vad.onnx", expected, member=member, archive=pinned)


@pytest.mark.parametrize("kind", ARCHIVES)
def test_a_member_of_a_pinned_archive(lab: Lab, rows: Rows, kind: str) -> None:
    lab = packed(rows, kind, "pkg/data/model.onnx", WEIGHTS).on(lab)
    link = built(lab, "models.vad") / "vad.onnx"
    assert content(lab, link) == WEIGHTS
    assert str(link.readlink()) == str(Store().path("vad.onnx", digest(WEIGHTS)))


@pytest.mark.parametrize(
    ("kind", "member", "said"),
    [
        ("whl", "pkg/other.onnx", "models.vad: vad.onnx: the archive has no pkg/other.onnx"),
        ("tar", "link.onnx", "models.vad: vad.onnx: link.onnx is not a file in the archive, but a folder, a link or"),
        ("zip", "pkg/data/model.onnx", "hash mismatch"),
    ],
)
def test_a_member_that_is_not_what_was_pinned(lab: Lab, rows: Rows, kind: str, member: str, said: str) -> None:
    assert said in packed(rows, kind, member, f"other bytes of {kind}".encode()).on(lab).failure("models.vad")


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../b", "a//b", "", ".", "a/.", "a/"])
def test_a_path_that_leads_out_ends_the_evaluation(lab: Lab, rows: Rows, path: str) -> None:
    said = rows.add("models.m", {path: b"x"}).on(lab).failure("models.m")
    assert "is not a path inside a folder" in said
    assert "models.m: " in said


BAD = [
    {"name": "../m"},
    {"name": ".m"},
    {"kind": "wheels"},
    {"repo": "../../etc"},
    {"repo": "org/na me"},
    {"commit": "main"},
    {"commit": COMMIT[:-1] + "\n"},
    {"revision": "../../../x"},
    {"repoType": "mo/del"},
]


@pytest.mark.parametrize("more", BAD, ids=map(str, BAD))
def test_a_name_that_leads_out_ends_the_evaluation(lab: Lab, rows: Rows, more: dict[str, Any]) -> None:
    rows.add("models.m", {"a": b"x"}, **{"repo": "org/m", **more})
    rows.files.clear()
    result = rows.on(lab).nix.evaluate(f"({rows.on(lab).expression()}).cache.drvPath", check=False)
    assert not result.ok
    assert "is not a name that can be used" in result.stderr or "is not a path inside a folder" in result.stderr


def test_rows_are_closed_and_belong_to_an_artifact(lab: Lab, rows: Rows) -> None:
    misspelt = Rows(lab.index).add("models.m", {"a": b"x"}, licens="MIT").on(lab)
    assert "licens" in misspelt.failure("models.m")
    lost = rows.file("models.gone", "a", b"x", url="http://127.0.0.1:9/a").on(lab)
    assert "there are files of models.gone, and no such model or data" in lost.failure("models-all")


def test_models_leave_the_environment_and_the_wheels_as_they_are(lab: Lab, rows: Rows) -> None:
    def derivation(lab: Lab) -> str:
        return str(lab.nix.evaluate(f"({lab.expression()}).environment.drvPath"))

    assert derivation(rows.add("models.m", {"a": b"x"}, repo="org/m").on(lab)) == derivation(lab)


def test_a_thousand_files_are_evaluated_in_steps_that_grow_with_their_number(lab: Lab, rows: Rows) -> None:
    rows.add("models.big", {}, repo="org/big")
    efforts = []
    for number in range(1001):
        path = f"shard/{number:04}.safetensors"
        rows.file("models.big", path, b"%d" % number, url=f"https://hub.example.org/resolve/{path}")
        if number % 500 == 0:
            efforts.append(lab.nix.effort(f"({rows.on(lab).expression()}).shell.drvPath"))
    few, half, all_of_them = efforts
    assert all_of_them - half < 1.2 * (half - few)
