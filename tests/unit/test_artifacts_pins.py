from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixgen.artifacts import pins
from nixgen.artifacts.model import (
    LAYOUTS,
    SCHEMES,
    PinnedArchive,
    PinnedArtifact,
    PinnedFile,
    Registered,
    content_commit,
)
from nixgen.bases.model import NixpkgsBase
from nixgen.data.model import DataManifest
from nixgen.errors import Problem, UserError
from nixgen.formats.strictjson import Table
from nixgen.lock.lockfile import dump_lock, parse_lock
from nixgen.lock.model import Lock

SHA = "0123456789abcdef" * 4
COMMIT = "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"
BASE = NixpkgsBase("nixos-26.05", COMMIT, "sha256-" + "A" * 43 + "=", 1, "2.40", "3.13", (), ())
WHEEL = PinnedArchive(SHA, 11317527, url="https://files.example.org/silero_vad-6.2.3-py3-none-any.whl")
MINILM = PinnedArtifact(
    "models",
    "minilm",
    "hf:org/minilm",
    "hf",
    (
        PinnedFile("1_Pooling/config.json", 190, SHA, url="https://hub.example.org/org/minilm/resolve/c/1_Pooling/config.json"),
        PinnedFile("empty", 0, SHA, url="https://hub.example.org/org/minilm/resolve/c/empty"),
    ),
    layout=("hf", "plain"),
    revision="main",
    commit=COMMIT,
    repo="org/minilm",
    include=("*.json",),
    exclude=("onnx/*",),
    licence="apache-2.0",
    gated=True,
    extra_repos=("org/code",),
)  # fmt: skip
VAD = PinnedArtifact(
    "models",
    "vad",
    "archive:silero-vad",
    "archive",
    (PinnedFile("vad.onnx", 5, SHA, member="silero_vad/data/vad.onnx", archive=WHEEL),),
    member="silero_vad/data/vad.onnx",
)
SALES = PinnedArtifact(
    "data",
    "sales",
    "s3://bucket/sales/",
    "s3",
    (PinnedFile("a.parquet", 9, SHA),),
    format="parquet",
    endpoint="https://s3.example.org",
    repo_type="dataset",
    data=DataManifest("sales", "s3://bucket/sales/", 3, SHA, SHA, "2024-07-31T12:00:00Z"),
)
IMAGES = PinnedArtifact(
    "data",
    "images",
    "images/",
    "file",
    (PinnedFile("images/ü.png", 7, SHA, local="images/ü.png"),),
    data=DataManifest("images", "images/", None, None, SHA, "2024-07-31T12:00:00Z"),
)
ALL = (MINILM, VAD, IMAGES, SALES)

TEXT = f"""\
{{
  "minilm": {{
    "commit": "{COMMIT}",
    "exclude": ["onnx/*"],
    "extraRepos": ["org/code"],
    "files": [
      {{"path": "1_Pooling/config.json", "sha256": "{SHA}", "size": 190, "url": "https://hub.example.org/org/minilm/resolve/c/1_Pooling/config.json"}},
      {{"path": "empty", "sha256": "{SHA}", "size": 0, "url": "https://hub.example.org/org/minilm/resolve/c/empty"}}
    ],
    "gated": true,
    "include": ["*.json"],
    "layout": ["hf", "plain"],
    "licence": "apache-2.0",
    "repo": "org/minilm",
    "revision": "main",
    "scheme": "hf",
    "source": "hf:org/minilm"
  }},
  "vad": {{
    "archive": {{"sha256": "{SHA}", "size": 11317527, "url": "https://files.example.org/silero_vad-6.2.3-py3-none-any.whl"}},
    "files": [
      {{"member": "silero_vad/data/vad.onnx", "path": "vad.onnx", "sha256": "{SHA}", "size": 5}}
    ],
    "layout": ["plain"],
    "member": "silero_vad/data/vad.onnx",
    "scheme": "archive",
    "source": "archive:silero-vad"
  }}
}}"""


def changed(path: str, value: object) -> list[str]:
    """The problems of a lock in which the value at this path of models.vad is another; None removes it."""
    document = json.loads(dump_lock(Lock(BASE, (), (VAD,))))
    *parents, last = path.split("/")
    table: Any = document["models"]["vad"]
    for parent in parents:
        table = table[int(parent) if parent.isdigit() else parent]
    if value is None:
        del table[last]
    else:
        table[last] = value
    with pytest.raises(UserError) as raised:
        parse_lock(json.dumps(document))
    assert {problem.mend for problem in raised.value.problems} == {"write it again: nixgen lock --upgrade"}
    return [f"{problem.where} {problem.what}" for problem in raised.value.problems]


def test_models_and_data_survive_the_lock() -> None:
    lock = Lock(BASE, (), ALL)
    assert parse_lock(dump_lock(lock)) == lock


def test_each_file_is_one_line() -> None:
    shown = dump_lock(Lock(BASE, (), (MINILM, VAD))).split('"models": ')[1].split(',\n  "version"')[0]
    assert "\n".join(line.removeprefix("  ") for line in shown.splitlines()) == TEXT


def test_nothing_pinned_is_nothing_written() -> None:
    assert {"models", "data"}.isdisjoint(json.loads(dump_lock(Lock(BASE))))


@pytest.mark.parametrize(
    ("path", "value", "what"),
    [
        ("comit", COMMIT, 'comit is not a known key; did you mean "commit"?'),
        ("scheme", "ftp", 'scheme is "ftp", not one of hf, https, github, s3, file, archive, oci, registry'),
        ("commit", "main", "commit has an impossible value: 'main'"),
        ("repo", "../x/y", "repo has an impossible value: '../x/y'"),
        ("layout", ["cache"], "layout[0] has an impossible value: 'cache'"),
        ("layout", ["hf"], 'layout is "hf", which needs a repo and a commit'),
        ("gated", 1, "gated is a number, not true or false"),
        ("endpoint", "ftp://x", "endpoint is not an address that starts with https:// or http:// or file://"),
        ("files/0/path", "../x", 'files[0].path leads out of its folder with ".."'),
        ("files/0/path", "/etc/passwd", "files[0].path is not a relative path"),
        ("files/0/path", "a\udc80", "files[0].path is not UTF-8 text"),
        ("files/0/member", "a/../../b", 'files[0].member leads out of its folder with ".."'),
        ("files/0/local", "../x", 'files[0].local leads out of its folder with ".."'),
        ("files/0/size", -1, "files[0].size is -1, below zero"),
        ("files/0/sha256", SHA[1:], f"files[0].sha256 has an impossible value: '{(SHA[1:])[:57]}...'"),
        ("files/0/sha256", None, "files[0].sha256 is missing"),
        (
            "files/0/url",
            "https://x.example.org/a",
            "files[0].path has more than one of url, local and member beside it",
        ),
        ("archive", None, "files[0].member has no archive to be in"),
        ("archive/local", "/x", "archive.local is not a relative path"),
        ("manifest", {}, "manifest.dataset_name is missing"),
    ],
)
def test_a_changed_lock_is_told_with_the_place(path: str, value: object, what: str) -> None:
    assert f"nixgen.lock: models.vad.{what}" in changed(path, value)


def test_the_same_path_twice_and_paths_that_differ_in_case_are_refused() -> None:
    file = {"path": "VAD.onnx", "sha256": SHA, "size": 5, "url": "https://x.example.org/a"}
    twice = {**file, "path": "a"}
    assert changed("files", [file, {**file, "path": "vad.onnx"}, twice, twice]) == [
        'nixgen.lock: models.vad.files "a" is there twice',
        'nixgen.lock: models.vad.files "vad.onnx" differs from "VAD.onnx" only in the case or form of its letters',
    ]


def test_a_name_that_leads_elsewhere_is_refused() -> None:
    document = json.loads(dump_lock(Lock(BASE, (), (VAD,))).replace('"vad": {', '"../vad": {'))
    with pytest.raises(UserError, match="is not a name of letters, digits, dots, dashes and underscores"):
        parse_lock(json.dumps(document))


def test_ten_thousand_files_are_read_in_a_moment() -> None:
    files = tuple(
        PinnedFile(f"data/part-{number:05}.bin", number, SHA, url=f"https://x.example.org/{number}")
        for number in range(10_000)
    )
    lock = Lock(BASE, (), (replace(SALES, files=files),))
    assert parse_lock(dump_lock(lock)) == lock


def test_a_commit_of_content_is_what_sha256sum_prints_hashed_again() -> None:
    files = (PinnedFile("b", 1, "b" * 64), PinnedFile("a", 1, "a" * 64))
    assert content_commit(files) == content_commit(reversed(files)) == "484bcbb7d16ffcba78a16ecc948318c2f39b3beb"


shas = st.text("0123456789abcdef", min_size=64, max_size=64)
lines = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=20)
parts = st.from_regex(r"[a-z\u00e4 ][a-z0-9\u00e4 ._-]{0,6}[a-z0-9]", fullmatch=True)
file_paths = st.lists(parts, min_size=1, max_size=3).map("/".join)
urls = st.from_regex(r"https://[a-z]{1,8}\.example\.org/[a-z0-9/%]{0,12}", fullmatch=True)
SIZES = st.integers(0, (1 << 63) - 1)
archives = st.builds(PinnedArchive, shas, SIZES, st.none() | urls)


@st.composite
def artifacts(draw: st.DrawFn) -> PinnedArtifact:
    archive = draw(st.none() | archives)
    chosen = draw(st.lists(file_paths, max_size=4, unique_by=lambda path: path.split("/")[0]))
    files = tuple(
        PinnedFile(path, draw(SIZES), draw(shas), member=path, archive=archive)
        if archive
        else PinnedFile(path, draw(SIZES), draw(shas), url=draw(st.none() | urls))
        for path in sorted(chosen)
    )
    layout = tuple(name for name in LAYOUTS if draw(st.booleans()))
    scheme = draw(st.sampled_from(SCHEMES))
    return PinnedArtifact(
        kind=draw(st.sampled_from(pins.KEYS)),
        name=draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,6}", fullmatch=True)),
        source=draw(lines),
        scheme=scheme,
        registered=Registered("s3://models", "a/b", "1.0.0-rc.1+x", SHA) if scheme == "registry" else None,
        files=files,
        layout=layout,
        revision=draw(st.none() | lines),
        commit=COMMIT if "hf" in layout else None,
        repo="org/name" if "hf" in layout else None,
        repo_type=draw(st.sampled_from(["model", "dataset", "space"])),
        include=tuple(draw(st.lists(lines, max_size=2))),
        gated=draw(st.booleans()),
    )


@given(st.lists(artifacts(), max_size=3, unique_by=lambda artifact: artifact.key))
def test_whatever_is_pinned_is_read_back(found: list[PinnedArtifact]) -> None:
    ordered = tuple(sorted(found, key=lambda artifact: (artifact.kind != "models", artifact.name)))
    problems: list[Problem] = []
    text = json.dumps(pins.dump(ordered))
    assert pins.parse(Table(json.loads(text), "nixgen.lock", "", problems, "")) == ordered
    assert problems == []
