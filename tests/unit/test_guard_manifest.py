"""What the guard reads: nixgen.lock, or JSON of expected files; and all that it refuses before it looks at a file."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tree import fill, lock, manifest, problems, rows, sha256

from nixgen import guard
from nixgen.guard import manifest as manifests
from nixgen.guard import words
from nixgen.guard.hub import hub_of

FILE = {"path": "a", "size": 1, "sha256": "0" * 64}


def expected(*files: dict[str, Any], **more: Any) -> str:
    return json.dumps({"version": 1, "trees": [{"name": "m", "path": "/m", "files": list(files), **more}]})


def refused(text: str) -> str:
    with pytest.raises(guard.BadInput) as caught:
        guard.parse(text, "x.json")
    return str(caught.value)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("../a", "has an empty part, . or .. in it"),
        ("a/../../b", "has an empty part, . or .. in it"),
        ("a/..", "has an empty part, . or .. in it"),
        ("./a", "has an empty part, . or .. in it"),
        ("a//b", "has an empty part, . or .. in it"),
        ("a/", "has an empty part, . or .. in it"),
        ("", "has an empty part, . or .. in it"),
        ("/etc/passwd", "is absolute"),
        ("a\0b", "has a zero byte in it"),
        ("a\udcff", "is not UTF-8"),
    ],
)
def test_paths_that_could_do_harm(path: str, why: str) -> None:
    text = json.dumps({"version": 1, "trees": [{"name": "m", "path": "/m", "files": [{**FILE, "path": path}]}]})
    assert refused(text).startswith("x.json: trees[0]: files[0]: the path ")
    assert refused(text).endswith(why)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "x.json: is not JSON: Expecting value: line 1 column 1 (char 0)"),
        ("[" * 100_000, "x.json: is not JSON: "),
        ('{"version": 1, "version": 1}', "x.json: is not JSON: a key is there twice in one object"),
        ("[]", "x.json: is not an object"),
        ("{}", "x.json: version: is null, and this guard knows 1"),
        (f'{{"version": {"[" * 900}3{"]" * 900}}}', "x.json: version: is no number, and this guard knows 1"),
        ('{"version": 2}', "x.json: version: is 2, and this guard knows 1"),
        ('{"version": 1}', "x.json: trees is not a list"),
        ('{"version": 1, "trees": [], "more": 1}', "x.json: more is not a known key; known: trees, version"),
        (expected(FILE, FILE), "x.json: trees[0]: files[1]: the path a is there twice"),
        (expected(FILE, {**FILE, "path": "a/b"}), "x.json: trees[0]: files: a is a file and a folder"),
        (expected({**FILE, "path": 3}), "x.json: trees[0]: files[0]: path is not a text"),
        (expected({**FILE, "size": -1}), "x.json: trees[0]: files[0]: size is not a number of bytes"),
        (expected({**FILE, "size": True}), "x.json: trees[0]: files[0]: size is not a number of bytes"),
        (expected({**FILE, "size": 1.5}), "x.json: trees[0]: files[0]: size is not a number of bytes"),
        (expected({**FILE, "sha256": "0" * 63}), "x.json: trees[0]: files[0]: sha256 is not 64 hexadecimal digits"),
        (expected({**FILE, "sha256": "A" * 64}), "x.json: trees[0]: files[0]: sha256 is not 64 hexadecimal digits"),
        (expected({**FILE, "sha256": None}), "x.json: trees[0]: files[0]: sha256 is not 64 hexadecimal digits"),
        (expected(files={}), "x.json: trees[0]: files is not a list"),
        (expected(name=""), "x.json: trees[0]: name is not a text"),
        (expected(path="a\0"), "x.json: trees[0]: path is not a text"),
        (expected(hashes={}), "x.json: trees[0]: hashes is not a known key; known: files, name, path, prefix"),
        ('{"version": 1, "trees": []}', "x.json: pins no model and no data: there is nothing to verify"),
        (expected({**FILE, "path": "a/" * 3000 + "a"}), "x.json: trees[0]: files[0]: the path a/a/a"),
        ('{"version": 1, "trees": [3]}', "x.json: trees[0]: is not an object"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_its_place(text: str, sentence: str) -> None:
    assert refused(text).startswith(sentence)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda v: (
            st.lists(v)
            | st.dictionaries(
                st.sampled_from(
                    ["version", "trees", "name", "path", "files", "size", "sha256", "models", "base", "prefix"]
                ),
                v,
            )
        ),
    )
)
def test_any_json_is_understood_or_refused(document: Any) -> None:
    with suppress(guard.BadInput):
        assert isinstance(guard.parse(json.dumps(document), "x.json", env={}), tuple)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(guard.BadInput, match=r"nothing: cannot be read: No such file or directory"):
        guard.read(str(tmp_path / "nothing"))
    (tmp_path / "binary").write_bytes(b"\xff")
    with pytest.raises(guard.BadInput, match=r"binary: is not UTF-8 text"):
        guard.read(str(tmp_path / "binary"))


def test_relative_folders_are_relative_to_the_root(tmp_path: Path) -> None:
    fill(tmp_path / "here/m", {"a": b"a"})
    found = guard.parse(manifest(Path("m"), {"a": b"a"}), "x.json", tmp_path / "here")
    assert found[0].folder == str(tmp_path / "here/m")
    assert guard.check(found).ok


COMMIT = "c" * 40
FILES = {"config.json": b"{}", "onnx/model.onnx": b"m"}
HUB = {"repo": "org/name", "commit": COMMIT, "layout": ["hf"], "files": rows(FILES)}
LAID = {f"snapshots/{COMMIT}/{path}": data for path, data in FILES.items()}


def test_a_lock_is_looked_up_where_the_shell_says(tmp_path: Path) -> None:
    text = lock(models__plain={"files": rows(FILES)}, models__hub=HUB, data__sales={"files": rows({"d.csv": b"1"})})
    fill(tmp_path / "models/plain", FILES)
    fill(tmp_path / "models/hub", FILES)
    fill(tmp_path / "data/sales", {"d.csv": b"1"})
    hub = fill(tmp_path / "cache/models--org--name", {**LAID, "refs/main": COMMIT.encode()})
    env = {
        "NIXGEN_MODELS": str(tmp_path / "models"),
        "NIXGEN_DATA": str(tmp_path / "data"),
        "HF_HUB_CACHE": str(tmp_path / "cache"),
    }
    found = guard.parse(text, "nixgen.lock", env=env)
    assert [(tree.name, tree.folder) for tree in found] == [
        ("data.sales", str(tmp_path / "data/sales")),
        ("models.hub", str(tmp_path / "models/hub")),
        ("models.hub", str(hub)),
        ("models.plain", str(tmp_path / "models/plain")),
    ]
    assert guard.check(found).ok
    (hub / "refs/main").write_bytes(COMMIT.encode() + b"\n")
    assert problems(guard.check(found)) == [("refs/main", "changed")]
    with pytest.raises(guard.BadInput, match=r"^data\.sales: where it lies is not known"):
        guard.select(guard.parse(text, "nixgen.lock", env={"NIXGEN_MODELS": "/m"}), ())


def test_artifacts_that_share_a_repo_share_its_folder(tmp_path: Path) -> None:
    one = {**HUB, "files": rows({"a": b"a", "both": b"b"})}
    two = {**HUB, "files": rows({"c": b"c", "both": b"b"})}
    cache = tmp_path / "cache/models--org--name"
    fill(cache, {f"snapshots/{COMMIT}/{name[0]}": name.encode()[:1] for name in ("a", "c")})
    fill(cache, {f"snapshots/{COMMIT}/both": b"b", "refs/main": COMMIT.encode()})
    fill(tmp_path / "one", {"a": b"a", "both": b"b"})
    env = {"NIXGEN_MODELS": str(tmp_path), "HF_HUB_CACHE": str(tmp_path / "cache")}
    found = guard.select(guard.parse(lock(models__one=one, models__two=two), "l", env=env), ["one"])
    assert len(found) == 2
    assert guard.check(found).ok
    other = {**two, "files": rows({"both": b"B"})}
    with pytest.raises(guard.BadInput, match=r"both of models--org--name is pinned to two different files"):
        guard.parse(lock(models__one=one, models__two=other), "l", env=env)


@pytest.mark.parametrize(
    "wrong",
    [
        {"repo": "../.."},
        {"repo": "a/../b/.."},
        {"commit": "C" * 40},
        {"commit": "c" * 39},
        {"revision": "../x"},
        {"repoType": "../model"},
        {"repo": ""},
    ],
)
def test_a_repo_cannot_lead_out_of_the_cache(tmp_path: Path, wrong: dict[str, str]) -> None:
    env = {"NIXGEN_MODELS": str(tmp_path), "HF_HUB_CACHE": str(tmp_path)}
    try:
        found = guard.parse(lock(models__m={**HUB, **wrong}), "l", env=env)
    except guard.BadInput:
        return
    assert {Path(tree.folder).parent for tree in found} == {tmp_path}
    assert "/" not in Path(found[1].folder).name


def test_datasets_and_commits_as_revisions() -> None:
    entry = {**HUB, "repoType": "dataset", "revision": COMMIT}
    found = guard.parse(lock(data__m=entry), "l", env={"NIXGEN_DATA": "/data", "HF_HUB_CACHE": "/cache"})
    assert found[1].folder == "/cache/datasets--org--name"
    assert [file.path for file in found[1].files] == sorted(LAID)  # no ref: the commit needs none


@pytest.mark.parametrize("name", ["../x", "a/b", "..", "", "x\0"])
def test_a_name_cannot_lead_out_of_the_folder(name: str) -> None:
    text = json.dumps({**json.loads(lock()), "models": {name: {"files": [], "layout": []}}})
    with pytest.raises(guard.BadInput, match=r"has an impossible name"):
        guard.parse(text, "l", env={"NIXGEN_MODELS": "/models"})


def test_names_that_are_asked_for() -> None:
    one = {"files": rows({"x": b"x"})}
    text = lock(models__a=one, models__b=one, data__b=one)
    found = guard.parse(text, "l", "/root")
    assert [tree.name for tree in guard.select(found, ())] == ["data.b", "models.a", "models.b"]
    assert [tree.name for tree in guard.select(found, ["a", "data.b"])] == ["data.b", "models.a"]
    with pytest.raises(guard.BadInput, match=r"^b: is more than one: data\.b, models\.b$"):
        guard.select(found, ["b"])
    with pytest.raises(guard.BadInput, match=r"^c: is not pinned; pinned: data\.b, models\.a, models\.b$"):
        guard.select(found, ["c"])
    with pytest.raises(guard.BadInput, match=r"^c: is not pinned; pinned: nothing$"):
        guard.select((), ["c"])


def test_a_lock_that_pins_nothing_starts_nothing(tmp_path: Path) -> None:
    """Case 37: nothing that was compared is nothing that was verified."""
    with pytest.raises(guard.BadInput, match=r"^l: pins no model and no data: there is nothing to verify$"):
        guard.parse(lock(), "l", tmp_path)
    found = guard.parse(lock(models__a={"files": []}, models__b={"files": rows({"x": b"x"})}), "l", tmp_path)
    assert len(guard.select(found, ["b"])) == 1
    with pytest.raises(guard.BadInput, match=r"^models\.a: no file of it is pinned: there is nothing to verify$"):
        guard.select(found, ())
    (tmp_path / "empty.json").write_text('{"version": 1, "trees": []}')
    with pytest.raises(guard.BadInput, match=r"empty\.json: pins no model and no data"):
        guard.require(lock=tmp_path / "empty.json")


@pytest.mark.parametrize("form", ["lock", "relative manifest"])
def test_an_artifact_may_not_lie_outside_of_the_root_that_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Case 37: the folder of a model is a link like any in it."""
    text = lock(models__m={"files": rows(FILES)}) if form == "lock" else manifest(Path("m"), FILES)
    outside, root = fill(tmp_path / "root-other/m", FILES), fill(tmp_path / "root", {})
    (root / "m").symlink_to(outside)
    found = guard.parse(text, "l", root)
    assert [str(one) for one in guard.check(found, nix=False).findings] == [
        f"models.m: .: leads out of {root} and not into the store: {outside}"
    ]
    monkeypatch.setenv("NIX_STORE_DIR", str(outside.parent))
    assert guard.check(found, nix=False).ok
    monkeypatch.delenv("NIX_STORE_DIR")
    (root / "m").unlink()
    fill(root / "real", FILES)
    (root / "m").symlink_to("real")
    assert guard.check(guard.parse(text, "l", root), nix=False).ok
    (tmp_path / "alias").symlink_to("root")  # who names the root may name a link to it
    assert guard.check(guard.parse(text, "l", tmp_path / "alias"), nix=False).ok


def test_a_repo_of_the_hub_may_not_lie_outside_of_the_cache(tmp_path: Path) -> None:
    fill(tmp_path / "models/hub", FILES)
    outside = fill(tmp_path / "outside", {**LAID, "refs/main": COMMIT.encode()})
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/models--org--name").symlink_to(outside)
    env = {"NIXGEN_MODELS": str(tmp_path / "models"), "HF_HUB_CACHE": str(tmp_path / "cache")}
    assert problems(guard.check(guard.parse(lock(models__hub=HUB), "l", env=env), nix=False)) == [(".", "link")]


@pytest.mark.parametrize("endless", ["/dev/zero", "link"])
def test_what_has_no_end_is_not_read(tmp_path: Path, endless: str) -> None:
    """Case 36."""
    (tmp_path / "link").symlink_to("/dev/zero")
    with pytest.raises(guard.BadInput, match=r": has more than 32 MiB$"):
        guard.read(str(tmp_path / endless))


def test_a_pipe_is_read_and_not_waited_for(tmp_path: Path) -> None:
    """Case 36: a named pipe in the place of the lock, into which nobody writes."""
    os.mkfifo(tmp_path / "nixgen.lock")
    with pytest.raises(guard.BadInput, match=r"nixgen\.lock: is not JSON"):
        guard.read(str(tmp_path / "nixgen.lock"))
    reader, writer = os.pipe()
    os.write(writer, b'{"version": 1}')
    os.close(writer)
    with pytest.raises(guard.BadInput, match="trees"):
        guard.read(f"/dev/fd/{reader}")
    os.close(reader)


@pytest.mark.parametrize("text", ["[" + "{}," * (1 << 21) + "{}]", "[" + "[]," * (3 << 20) + "[]]", '"\U0001f600' * 4])
def test_what_would_take_too_much_memory_is_not_parsed(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 31: two bytes of text can be two hundred in memory."""
    if len(text) < 100:
        monkeypatch.setattr(manifests, "_MEMORY", 40)
    assert refused(text) == "x.json: lists too much"


def test_deep_paths_cost_no_more_than_they_are_long(tmp_path: Path) -> None:
    """Case 36: each of 2,000 paths has 2,000 folders."""
    files = {f"{'a/' * 2000}{number}": b"" for number in range(2000)}
    found = guard.parse(manifest(tmp_path, files), "x.json")
    report = guard.check(found)
    assert problems(report) == [(path, "missing") for path in sorted(files)]


def test_require_gives_the_files_that_were_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "models/m", FILES)
    fill(tmp_path / "models/b", {"x": b"x"})
    (tmp_path / "nixgen.lock").write_text(
        lock(models__m={"files": rows(FILES)}, models__b={"files": rows({"x": b"x"})})
    )
    found = guard.require("m", lock=tmp_path / "nixgen.lock", root=tmp_path / "models")
    assert found["m"].files == {path: str(tmp_path / "models/m" / path) for path in FILES}
    assert Path(found["m"]) == tmp_path / "models/m"
    (tmp_path / "deep/er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep/er")
    monkeypatch.setenv("NIXGEN_MODELS", str(tmp_path / "models"))
    assert set(guard.require()) == {"m", "b"}
    assert guard.require("models.m")["models.m"].name == "models.m"
    (tmp_path / "models/b/x").write_bytes(b"y")
    assert set(guard.require("m")) == {"m"}
    with pytest.raises(
        guard.Refused, match=r"(?s)not the pinned files: 1 found among 3\nmodels\.b: x: is changed: "
    ) as no:
        guard.require()
    assert problems(no.value.report) == [("x", "changed")]


def test_require_without_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NIXGEN_LOCK", raising=False)
    with pytest.raises(guard.BadInput, match=r"there is no nixgen\.lock here or above"):
        guard.require("m")
    (tmp_path / "x.json").write_text(manifest(fill(tmp_path / "m", {"a": b""}), {"a": b""}))
    monkeypatch.setenv("NIXGEN_LOCK", str(tmp_path / "x.json"))
    assert guard.require("m", stamp=tmp_path / "stamps")["m"].files == {"a": str(tmp_path / "m/a")}


def test_sha256_of_the_ref_is_that_of_the_commit_without_a_newline() -> None:
    hub = hub_of(HUB, "l")
    assert hub.laid_out([])[0] == guard.File("refs/main", 40, sha256(COMMIT.encode()))


def test_each_pinned_file_is_counted_once(tmp_path: Path) -> None:
    """Case 57: not once for each layout, and not what the layout has besides."""
    fill(tmp_path / "models/hub", FILES)
    fill(tmp_path / "cache/models--org--name", {**LAID, "refs/main": COMMIT.encode()})
    env = {"NIXGEN_MODELS": str(tmp_path / "models"), "HF_HUB_CACHE": str(tmp_path / "cache")}
    report = guard.check(guard.parse(lock(models__hub=HUB), "l", env=env), nix=False)
    size = sum(map(len, FILES.values()))
    assert report.text().startswith(f"verified: {words.amount(size)} in {words.counted(len(FILES))}, ")
    assert [words.amount(size) for size in (0, 1023, 1024, 10_240, (1 << 20) - 1, 91 << 20, 1 << 50)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "10 KiB",
        "1.0 MiB",
        "91 MiB",
        "1024 TiB",
    ]
    assert [words.counted(number) for number in (0, 1, 2)] == ["0 files", "1 file", "2 files"]
