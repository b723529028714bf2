"""What a source and a checksum in models.toml may look like."""

# ruff: noqa: E501 -- tables of cases are wide
from __future__ import annotations

import pytest
from support.manifests import SHA, WHERE, only, parsed

from nixgen.artifacts.model import scheme_of

PIN = "an md5 or an ETag is never a pin"
DIGITS = "write the 64 hexadecimal digits that sha256sum prints of the file, or leave it out: the lock always has it"


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
        ("registry:fraud-detector", "registry"),
        ("registry:fraud-detector@prod", "registry"),
        ("registry:fraud-detector@1.2.0-rc.1+build", "registry"),
        ("registry:payments/fraud-detector@1.2.0", "registry"),
    ],
)
def test_sources_of_every_kind(source: str, scheme: str) -> None:
    (spec,) = parsed(f'version = 1\n[models.a]\nsource = "{source}"\n').models
    assert (spec.scheme, scheme_of(source)) == (scheme, scheme)


KINDS = "the kinds are hf:, https:, github:, s3:, file:, archive:, oci:, registry:; a path in the project needs none"
SHARED = "which would be written to shared files"
HF = "is not the name of a repo on the Hugging Face hub | write hf:ORG/NAME, hf:datasets/ORG/NAME or hf:spaces/ORG/NAME"
ASSET = "is not the asset of a release on GitHub | write github:OWNER/REPO@TAG/ASSET"
OBJECT = "is not an object or folder of a bucket | write s3://BUCKET/KEY, or s3://BUCKET/FOLDER/"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("", f"is empty | {WHERE}"),
        (" hf:a/b", "has white space around it or a control character in it | take it out"),
        (
            "registry:../fraud@prod",
            "is no model of a registry: .. cannot be the name of a project: it is not one | "
            "write registry:NAME@ALIAS or registry:NAME@1.2.0; of another project, registry:PROJECT/NAME@ALIAS",
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
            "is fetched without encryption: anybody on the network path could change it before it is pinned | write https:, or give its sha256",
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
            "https://you:pw@/vad.onnx",
            f"has a user name or password in it, {SHARED} | leave them out, and put them into ~/.netrc: machine HOST login USER password SECRET",
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
