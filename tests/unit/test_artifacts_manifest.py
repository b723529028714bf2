"""models.toml: every key is read, and each mistake has its sentence."""

# ruff: noqa: E501 -- tables of cases are wide
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.manifests import SHA, WHERE, only, parsed, problems

from nixgen.artifacts.manifest import parse_manifest, read_manifest
from nixgen.artifacts.model import SCHEMES, ArtifactSpec, Manifest, ServiceSpec
from nixgen.errors import Problem, UserError

FULL = """
version = 1

[models.minilm]
source = "hf:sentence-transformers/all-MiniLM-L6-v2"
revision = "main"
include = ["*.json", "*.txt", "model.safetensors"]
exclude = ["onnx/*"]
layout = ["plain", "hf"]

[models.vad]
source = "https://models.example.org/vad.onnx"
sha256 = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"

[models.embedder]
source = "archive:static-embedder"
member = "static_embedder/data/"
layout = "hf"
repo = "org/static"

[data.transactions]
source = "s3://ml-data/transactions/2024-07-31/"
format = "parquet"
endpoint = "https://s3.example.org"

[services.api]
command = "python -m 'my app'"
models = ["vad", "transactions"]

[services.worker]
command = ["python", "-m", "worker"]
environment = "gpu"
"""


def test_every_key_is_read() -> None:
    assert parsed(FULL) == Manifest(
        models=(
            ArtifactSpec(
                "models",
                "embedder",
                "archive:static-embedder",
                member="static_embedder/data/",
                layout=("hf",),
                repo="org/static",
                where="models.toml: models.embedder",
            ),
            ArtifactSpec(
                "models",
                "minilm",
                "hf:sentence-transformers/all-MiniLM-L6-v2",
                revision="main",
                include=("*.json", "*.txt", "model.safetensors"),
                exclude=("onnx/*",),
                layout=("hf", "plain"),
                where="models.toml: models.minilm",
            ),
            ArtifactSpec(
                "models", "vad", "https://models.example.org/vad.onnx", sha256=SHA, where="models.toml: models.vad"
            ),
        ),
        data=(
            ArtifactSpec(
                "data",
                "transactions",
                "s3://ml-data/transactions/2024-07-31/",
                format="parquet",
                endpoint="https://s3.example.org",
                where="models.toml: data.transactions",
            ),
        ),
        services=(
            ServiceSpec("api", ("python", "-m", "my app"), ("vad", "transactions")),
            ServiceSpec("worker", ("python", "-m", "worker"), environment="gpu"),
        ),
    )


def test_without_the_file_nothing_is_asked_for(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) == Manifest()


def test_what_is_not_toml_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text("version = 1\n[models\n")
    with pytest.raises(UserError, match=r"^models.toml: is not TOML that can be read: .*line 2"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("source = 3", 'source: is a number, not a string | write source = "hf:sentence-transformers/all-MiniLM-L6-v2"'),
        ('revision = "v1"', f"source: is missing | {WHERE}"),
        ('source = "hf:a/b"\nrevison = "v1"', "revison: is not a key of a model | did you mean revision?"),
        ('source = "hf:a/b"\nformat = "csv"', "format: is not a key of a model | it is a key of a dataset"),
        ('source = "hf:a/b"\nsub = { x = 1 }', 'sub: is not a key of a model | for a name with a dot in it, write [models."a.sub"]'),
        ('source = "hf:a/b"\nrevision = "a..b"', 'revision: "a..b" is no branch, tag or commit | write revision = "main"'),
        ('source = "hf:a/b"\nrevision = "--upload-pack=x"', 'revision: "--upload-pack=x" is no branch, tag or commit | write revision = "main"'),
        ('source = "hf:a/b"\ninclude = "*.json"', 'include: is a string, not a list | write include = ["*.json"]'),
        ('source = "hf:a/b"\ninclude = []', "include: names nothing | remove it to have every file"),
        ('source = "hf:a/b"\ninclude = [1]', 'include[0]: is a number, not a string | write include = ["*.json"]'),
        ('source = "hf:a/b"\nexclude = [""]', 'exclude[0]: "" is empty or has a control character in it | write ? for any character'),
        ('source = "hf:a/b"\ninclude = ["../*"]', 'include[0]: "../*" leads out of its folder with ".." | write it as in *.json, onnx/* or onnx/; * goes over folders, too'),
        ('source = "hf:a/b"\nlayout = "cache"', 'layout: "cache" is not a layout | known are hf, plain'),
        ('source = "hf:a/b"\nlayout = []', 'layout: names no layout | write layout = "plain", or remove it'),
        ('source = "hf:a/b"\nendpoint = "http://hub.example.org"', "endpoint: is asked without encryption: anybody on the network path could change what is pinned | write its https address"),
        ('source = "hf:a/b"\nmember = "x.onnx"', "member: is for archives, and the source is hf: | remove it; to choose files, use include"),
        ('source = "hf:a/b"\nrepo = "c/d"', "repo: is for sources that are not hf:, where the source is the repo | remove it"),
        (f'source = "hf:a/b"\nsha256 = "{SHA}"', "sha256: is the checksum of one file, and the source may have several | remove it: nixgen.lock has one for each file"),
        ('source = "archive:silero"', 'member: is missing | name a file of the package, like "pkg/data/model.onnx", or a folder, "pkg/data/"'),
        (f'source = "archive:silero"\nmember = "a.onnx"\nsha256 = "{SHA}"', "sha256: says what uv.lock says of the package already | remove it"),
        ('source = "a.zip"\nmember = "/etc/passwd"', "member: is not a relative path | write the path as the archive has it, like pkg/data/model.onnx or pkg/data/"),
        ('source = "https://x.example.org/a"\ninclude = ["*"]', "include: chooses from several files, and the source is one file | remove it"),
        ('source = "https://x.example.org/a"\nrevision = "v1"', "revision: is for hf: sources, and the source is https: | remove it"),
        ('source = "github:o/r@v1/a"\nrevision = "v1"', "revision: is for hf: sources, and the source is github: | write it into the source: github:OWNER/REPO@TAG/ASSET"),
        ('source = "https://x.example.org/a"\nlayout = "hf"', 'layout: is "hf", and nothing says under which name it is loaded | write repo = "org/name", as from_pretrained is given it'),
        ('source = "https://x.example.org/a"\nrepo = "o/n"', 'repo: is the name in a hub cache, and the layout is "plain" | add layout = "hf", or remove it'),
        ('source = "https://x.example.org/a"\nrepo = "o/n/m"\nlayout = "hf"', 'repo: "o/n/m" is not the name of a repo | write repo = "org/name"'),
        ('source = "https://x.example.org/a"\nendpoint = "https://x.example.org"', "endpoint: is for s3: and hf: sources, and the source is https: | remove it"),
        ('source = "s3://bucket/a"\nendpoint = "s3.example.org"', "endpoint: is not an address | write it like https://models.example.org/vad.onnx"),
    ],
)  # fmt: skip
def test_keys_that_cannot_be(lines: str, sentence: str) -> None:
    assert only(lines) == [f"models.toml: models.a.{sentence}"]


@pytest.mark.parametrize(
    ("format_name", "mend"),
    [("json", "did you mean jsonl?"), ("parket", "did you mean parquet?"), ("xlsx", "known are arrow, csv, files, jsonl, parquet, tsv")],
)  # fmt: skip
def test_formats_of_data(format_name: str, mend: str) -> None:
    found = only(f'source = "s3://bucket/a/"\nformat = "{format_name}"', "data.a")
    assert found == [f'models.toml: data.a.format: "{format_name}" is not a format of data | {mend}']


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[models]\n", "version: is missing | write version = 1 as the first line"),
        ('version = "1"\n', "version: is a string, not a number | write version = 1 as the first line"),
        ("version = true\n", "version: is a boolean, not a number | write version = 1 as the first line"),
        (
            "version = 2\nnew = 1\n",
            "version: is 2, and this nixgen knows 1 | use a nixgen that knows it, or write it in the form of version 1: docs/models.md",
        ),
        ("version = 1\nmodel = 1\n", "model: is not a key of models.toml | did you mean models?"),
        ("version = 1\nmodels = 1\n", "models: is a number, not a table | write it as [models.minilm]"),
        ("version = 1\n[models]\na = 1\n", "models.a: is a number, not a table | write it as [models.minilm]"),
        (
            'version = 1\n[models."-a"]\nsource = "hf:a/b"\n',
            "models.-a: is not a name | begin with a letter or digit, and use only those, dots, dashes and underscores",
        ),
        (
            'version = 1\n[models.Vad]\nsource = "a"\n[models.vad]\nsource = "b"\n',
            "models.vad: differs from models.Vad only in case: on some machines both would be one folder | give one of them another name",
        ),
        (
            'version = 1\n[models.a]\nsource = "hf:o/n"\n[data.b]\nsource = "hf:o/N"\nrevision = "main"\n',
            'data.b.source: is the same repo and revision as models.a: both would be one folder of the cache | make one entry of the two, or give one of them layout = "plain"',
        ),
        ("version = 1\n[services.a]\n", 'services.a.command: is missing | write command = "python -m app"'),
        ('version = 1\n[services.a]\ncommand = ""\n', 'services.a.command: is empty | write command = "python -m app"'),
        (
            'version = 1\n[services.a]\ncommand = "python \'x"\n',
            'services.a.command: has a quote that does not end | end it, or write a list: ["python", "-m", "app"]',
        ),
        (
            'version = 1\n[services.a]\ncommand = "x"\nmodels = ["vda"]\n[models.vad]\nsource = "a"\n',
            'services.a.models[0]: "vda" is no model and no data of this file | did you mean vad?',
        ),
    ],
)
def test_files_that_cannot_be(text: str, sentence: str) -> None:
    assert problems(text) == [f"models.toml: {sentence}"]


def test_one_repo_at_two_revisions_is_two_folders() -> None:
    text = 'version = 1\n[models.a]\nsource = "hf:o/n"\n[models.b]\nsource = "hf:o/n"\nrevision = "v1"\n'
    assert len(parsed(text).models) == 2


def test_all_problems_are_told_at_once() -> None:
    text = 'version = 1\nx = 1\n[models.a]\nsource = "ftp:x"\nsha256 = "md5"\n[data.b]\n[services.c]\n'
    assert [line.split(": ")[1] for line in problems(text)] == [
        "x",
        "models.a.sha256",
        "models.a.source",
        "data.b.source",
        "services.c.command",
    ]


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates()
keys = st.sampled_from(
    ["source", "revision", "sha256", "include", "exclude", "layout", "member", "repo", "format", "command", "models"]
)
sources = st.builds("{}:{}".format, st.sampled_from([*SCHEMES, "http", "registry"]), st.text()) | st.text()
entries = st.dictionaries(keys, leaves | st.lists(leaves | st.text()) | sources) | leaves
tables = st.dictionaries(st.text(), entries) | leaves


@given(st.dictionaries(st.sampled_from(["version", "models", "data", "services", "x"]), tables))
def test_nothing_that_toml_can_hold_is_a_traceback(document: dict[str, Any]) -> None:
    found: tuple[Problem, ...] = ()
    try:
        parse_manifest({"version": 1, **document})
    except UserError as error:
        found = error.problems
    assert all(problem.where.startswith("models.toml: ") and problem.mend for problem in found)
