# ruff: noqa: E501 -- tables of cases are wide
from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixgen import render
from nixgen.artifacts.manifest import parse_manifest, read_manifest
from nixgen.artifacts.model import SCHEMES, ArtifactSpec, Manifest, ServiceSpec, scheme_of
from nixgen.errors import Problem, UserError

SHA = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
PIN = "an md5 or an ETag is never a pin"
DIGITS = "write the 64 hexadecimal digits that sha256sum prints of the file, or leave it out: the lock always has it"

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
"""


def parsed(text: str) -> Manifest:
    return parse_manifest(tomllib.loads(text))


def problems(text: str) -> list[str]:
    with pytest.raises(UserError) as raised:
        parsed(text)
    return [str(problem).replace("\n    ", " | ") for problem in raised.value.problems]


def only(lines: str, part: str = "models.a") -> list[str]:
    return problems(f"version = 1\n[{part}]\n{lines}\n")


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
            ServiceSpec("worker", ("python", "-m", "worker")),
        ),
    )


def test_the_skeleton_that_init_writes_asks_for_nothing() -> None:
    assert parsed(render.models_toml()) == Manifest()


def test_the_skeletons_examples_are_what_the_parser_takes() -> None:
    lines = [line.removeprefix("# ") for line in render.models_toml().splitlines() if not line.startswith("# W")]
    text = "\n".join(line for line in lines if line.startswith(("[", "version")) or " = " in line)
    assert [spec.key for spec in parsed(text).specs] == ["models.minilm", "models.vad", "data.transactions"]


def test_without_the_file_nothing_is_asked_for(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) == Manifest()


def test_what_is_not_toml_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text("version = 1\n[models\n")
    with pytest.raises(UserError, match=r"^models.toml: is not TOML that can be read: .*line 2"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("source", "scheme"),
    [
        ("hf:gpt2", "hf"),
        ("hf:org/na.me_1", "hf"),
        ("hf:datasets/org/name", "hf"),
        ("hf:spaces/org/name", "hf"),
        ("https://models.example.org/a%20b/vad.onnx?download=1", "https"),
        ("http://127.0.0.1:8080/vad.onnx", "https"),
        ("http://localhost/vad.onnx", "https"),
        ("http://[::1]:1/vad.onnx", "https"),
        ("github:owner/repo@v1.0/model.onnx", "github"),
        ("github:owner/repo@release/2024/model.onnx", "github"),
        ("s3://bucket/key.onnx", "s3"),
        ("s3://bucket/folder/", "s3"),
        ("s3://bucket/", "s3"),
        ("file:weights/vad.onnx", "file"),
        ("file:///srv/weights/vad.onnx", "file"),
        ("weights/vad.onnx", "file"),
        ("./weights/", "file"),
        ("weights/a:b.onnx", "file"),
        ("oci:registry.example.org/org/kit:v1", "oci"),
        (f"oci:registry.example.org:5000/kit@sha256:{SHA}", "oci"),
    ],
)
def test_sources_of_every_kind(source: str, scheme: str) -> None:
    (spec,) = parsed(f'version = 1\n[models.a]\nsource = "{source}"\n').models
    assert (spec.scheme, scheme_of(source)) == (scheme, scheme)


KINDS = "the kinds are hf:, https:, github:, s3:, file:, archive:, oci:; a path in the project needs none"
WHERE = "say where it comes from: hf:, https:, github:, s3:, file:, archive:, oci: or a path in the project"
SHARED = "which would end up in files that are shared"
HF = "is not the name of a repo on the Hugging Face hub | write hf:ORG/NAME, hf:datasets/ORG/NAME or hf:spaces/ORG/NAME"
ASSET = "is not the asset of a release on GitHub | write github:OWNER/REPO@TAG/ASSET"
OBJECT = "is not an object or folder of a bucket | write s3://BUCKET/KEY, or s3://BUCKET/FOLDER/"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("", f"is empty | {WHERE}"),
        (" hf:a/b", "has white space around it or a control character in it | take it out"),
        (
            "registry:fraud-detector@prod",
            "the registry comes with a later version of nixgen | until then use hf:, https:, github:, s3:, file:, archive: or oci:",
        ),
        ("ftp://files.example.org/x", f'"ftp:" is not a kind of source | did you mean https:? {KINDS}'),
        ("gs://bucket/x", f'"gs:" is not a kind of source | did you mean s3:? {KINDS}'),
        ("huggingface:a/b", f'"huggingface:" is not a kind of source | {KINDS}'),
        ("HF:a/b", f'"HF:" is not a kind of source | did you mean hf:? {KINDS}'),
        ("hf:a/b@v1", 'has another form here | write source = "hf:a/b", revision = "v1"'),
        ("hf://datasets/a/b", 'has another form here | write source = "hf:datasets/a/b"'),
        ("hf:a/b/c", HF),
        ("hf:a--b/c", HF),
        ("hf:../c", HF),
        ("hf:a/b.git", HF),
        ("hf:-a/b", HF),
        ("hf:a/" + "b" * 96, HF),
        (
            "http://models.example.org/vad.onnx",
            "is fetched without encryption: anybody on the way could change it before it is pinned | write https:, or give its sha256",
        ),
        (
            "https://models.example.org/",
            "names no file | write the whole address, like https://models.example.org/vad.onnx",
        ),
        ("https:///vad.onnx", "is not an address | write it like https://models.example.org/vad.onnx"),
        ("https://a b/vad.onnx", "is not an address | write it like https://models.example.org/vad.onnx"),
        ("https://[x/vad.onnx", "is not an address | write it like https://models.example.org/vad.onnx"),
        (
            "https://me:secret@models.example.org/vad.onnx",
            f"has a user name or password in it, {SHARED} | leave them out, and put them into ~/.netrc: machine models.example.org login USER password SECRET",
        ),
        (
            "https://models.example.org/vad.onnx?X-Amz-Signature=1",
            f"has a token or signature in it, {SHARED} | use the address without it; for a login, ~/.netrc",
        ),
        (
            "https://models.example.org/vad.onnx#a=1&private-token=x",
            f"has a token or signature in it, {SHARED} | use the address without it; for a login, ~/.netrc",
        ),
        ("github:owner/repo@v1/model.onnx?token=x", ASSET),
        ("github:owner/repo", ASSET),
        ("github:owner/repo/v1/model.onnx", ASSET),
        ("s3://bucket", OBJECT),
        ("s3:bucket/key", OBJECT),
        (
            "s3://key:secret@bucket/x",
            f"has credentials in it, {SHARED} | leave them out; the credentials come from where the AWS tools find them (AWS_PROFILE, ~/.aws)",
        ),
        (
            "/srv/vad.onnx",
            "is a path of this machine, which no teammate has | move the file into the project, or say that it is meant: file:///srv/vad.onnx",
        ),
        (
            "../vad.onnx",
            'is not a path in the project: it leads out of its folder with ".." | write it relative to the project, like weights/vad.onnx',
        ),
        ("file:///srv/../etc/passwd", "is not a path | write file:///folder/name"),
        (
            "oci:kit",
            "is not an artifact in a registry | write oci:HOST/NAME:TAG or oci:HOST/NAME@sha256:DIGEST",
        ),
        (
            "oci:registry.example.org/kit@md5:0",
            "has credentials or another digest than sha256 in it | write oci:HOST/NAME:TAG",
        ),
    ],
)
def test_sources_that_cannot_be(source: str, sentence: str) -> None:
    assert only(f"source = '{source}'") == [f"models.toml: models.a.source: {sentence}"]


def test_an_archives_source_names_a_package() -> None:
    assert only('source = "archive:https://files.example.org/a.whl"\nmember = "a.onnx"') == [
        "models.toml: models.a.source: is not the name of a package in uv.lock"
        " | write archive:PACKAGE; for an archive elsewhere, its own source (https:, github:, s3:, a path)"
    ]


@pytest.mark.parametrize(
    ("checksum", "sentence"),
    [
        ("d41d8cd98f00b204e9800998ecf8427e", f"has 32 digits, as an MD5 has; {PIN} | {DIGITS}"),
        (
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            f"has 40 digits, as a SHA-1 or the id of a git blob has; {PIN} | {DIGITS}",
        ),
        ("a" * 128, f"has 128 digits, as a SHA-512 has; {PIN} | {DIGITS}"),
        (SHA[:-1], f"has 63 digits, and a SHA-256 has 64; {PIN} | {DIGITS}"),
        ("md5:d41d8cd98f00b204e9800998ecf8427e", f"is md5; {PIN} | {DIGITS}"),
        ("sha512-AAAA", f"is sha512; {PIN} | {DIGITS}"),
        ('"d41d8cd98f00b204e9800998ecf8427e"', f"is an ETag; {PIN} | {DIGITS}"),
        ('W/"abc"', f"is an ETag; {PIN} | {DIGITS}"),
        ("d41d8cd98f00b204e9800998ecf8427e-38", f"is an ETag; {PIN} | {DIGITS}"),
        ("latest", f"is no SHA-256; {PIN} | {DIGITS}"),
        (f"sha256:{SHA}", f'is a SHA-256 in another form | write sha256 = "{SHA}"'),
        (
            "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            f'is a SHA-256 in another form | write sha256 = "{SHA}"',
        ),
        ("sha256-AAAA", f"is sha256; {PIN} | {DIGITS}"),
    ],
)
def test_checksums_that_are_no_pin(checksum: str, sentence: str) -> None:
    found = only(f"source = 'https://models.example.org/vad.onnx'\nsha256 = '{checksum}'")
    assert found == [f"models.toml: models.a.sha256: {sentence}"]


def test_a_checksum_makes_an_address_without_encryption_good_enough() -> None:
    assert parsed(f'version = 1\n[models.a]\nsource = "http://files.example.org/a.onnx"\nsha256 = "{SHA}"\n').models


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
        ('source = "hf:a/b"\nexclude = ["../*"]', 'exclude[0]: "../*" leads out of its folder with ".." | write it as in *.json, onnx/* or onnx/; * goes over folders, too'),
        ('source = "hf:a/b"\nlayout = "cache"', 'layout: "cache" is not a layout | known are hf, plain'),
        ('source = "hf:a/b"\nlayout = []', 'layout: names no layout | write layout = "plain", or remove it'),
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
