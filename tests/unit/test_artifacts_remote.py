"""s3: sources, against moto's server, which speaks S3 as boto3 expects it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from registries import SIGNER, Lab
from support.loopback import Asked, Reply, listen

from nixgen.artifacts.model import ArtifactSpec, PinnedArchive, PinnedArtifact, PinnedFile
from nixgen.artifacts.sources import Context, fetch, resolve
from nixgen.artifacts.store import Folder
from nixgen.errors import Finding, MachineError, NixgenError, UserError
from nixgen.machine import extras, objects
from nixgen.registry.known import Registries, Trust

pytest.importorskip("obstore")

WHERE = "models.toml: data.transactions"
PARTS = {
    "part-0.parquet": b"\0" * 20_000_000,
    "part-1.parquet": b"one",
    "empty.csv": b"",
    "sub folder/ü.csv": b"a\n1\n",
}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    running = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name, value in {"ACCESS_KEY_ID": "me", "SECRET_ACCESS_KEY": "secret", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    client = pytest.importorskip("boto3").client("s3", endpoint_url=endpoint)
    client.create_bucket(Bucket="ml-data")
    for folder in ("tx/2024/", "tx/2024/sub folder/", "tx/2024/none/"):  # stand for a folder, as consoles make them
        client.put_object(Bucket="ml-data", Key=folder, Body=b"")
    for path, content in PARTS.items():
        client.put_object(Bucket="ml-data", Key=f"tx/2024/{path}", Body=content)
    yield client
    for row in client.list_objects_v2(Bucket="ml-data")["Contents"]:
        client.delete_object(Bucket="ml-data", Key=row["Key"])
    client.delete_bucket(Bucket="ml-data")


def pin(endpoint: str, root: Path, source: str = "s3://ml-data/tx/2024/", **changes: Any) -> PinnedArtifact:
    made = ArtifactSpec("data", "transactions", source, endpoint=endpoint, where=WHERE)
    return resolve(dataclasses.replace(made, **changes), None, Context(root, Folder(root / "held")))


def refusal(endpoint: str, root: Path, source: str, kind: type[NixgenError] = UserError) -> str:
    with pytest.raises(kind) as caught:
        pin(endpoint, root, source)
    return str(caught.value)


@pytest.mark.usefixtures("s3")
def test_all_below_a_folder(endpoint: str, tmp_path: Path) -> None:
    found = pin(endpoint, tmp_path)
    expected = [PinnedFile(path, len(data), hashlib.sha256(data).hexdigest()) for path, data in sorted(PARTS.items())]
    assert list(found.files) == expected
    assert (found.scheme, found.endpoint) == ("s3", endpoint)
    places = fetch(found, Context(tmp_path, Folder(tmp_path / "held")))
    assert {path: place.read_bytes() for path, place in places.items()} == PARTS
    places = fetch(found, Context(tmp_path, Folder(tmp_path / "anew")))
    assert {path: place.read_bytes() for path, place in places.items()} == PARTS


@pytest.mark.usefixtures("s3")
def test_globs_and_one_object(endpoint: str, tmp_path: Path) -> None:
    assert [file.path for file in pin(endpoint, tmp_path, include=("*.csv",)).files] == [
        "empty.csv",
        "sub folder/ü.csv",
    ]
    found = pin(endpoint, tmp_path, "s3://ml-data/tx/2024/part-1.parquet")
    assert [file.path for file in found.files] == ["part-1.parquet"]
    places = fetch(found, Context(tmp_path, Folder(tmp_path / "anew")))
    assert places["part-1.parquet"].read_bytes() == b"one"


def test_a_member_of_an_archive(s3: Any, endpoint: str, tmp_path: Path) -> None:
    from support.sources import archive

    whole = archive("zip", {"a.csv": b"a\n1\n"})
    s3.put_object(Bucket="ml-data", Key="all.zip", Body=whole)
    found = pin(endpoint, tmp_path, "s3://ml-data/all.zip", member="a.csv")
    assert found.files[0].archive == PinnedArchive(hashlib.sha256(whole).hexdigest(), len(whole))
    places = fetch(found, Context(tmp_path, Folder(tmp_path / "anew")))
    assert places["a.csv"].read_bytes() == whole


def test_changed_since(s3: Any, endpoint: str, tmp_path: Path) -> None:
    found = pin(endpoint, tmp_path, include=("part-1*",))
    for content, what in ((b"two", "SHA-256"), (b"longer", "size")):
        s3.put_object(Bucket="ml-data", Key="tx/2024/part-1.parquet", Body=content)
        with pytest.raises(UserError, match=f"part-1.parquet is not what it should be: its {what} should be "):
            fetch(found, Context(tmp_path, Folder(tmp_path / "anew")))
    assert not list((tmp_path / "anew").iterdir())


@pytest.mark.usefixtures("s3")
def test_absent(endpoint: str, tmp_path: Path) -> None:
    source = "s3://ml-data/nowhere.csv"
    assert (
        refusal(endpoint, tmp_path, source)
        == f"{WHERE}: there is no {source}\n  hint: check the address, and the endpoint"
    )
    source = "s3://ml-data/nowhere/"
    assert (
        refusal(endpoint, tmp_path, source)
        == f"{WHERE}: {source} has no files\n  hint: check the source, and the revision"
    )
    source = "s3://no-such-bucket/a/"
    assert f"{WHERE}: there is no {source}" in refusal(endpoint, tmp_path, source, NixgenError)
    said = refusal("http://127.0.0.1:9", tmp_path, "s3://ml-data/a.csv", MachineError)
    assert said.startswith(f"{WHERE}: s3://ml-data/a.csv cannot be read or written: HTTP error: ")
    assert "secret" not in said


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "obstore.store", None)
    assert refusal("", tmp_path, "s3://ml-data/a.csv") == (
        f"{WHERE}: s3: needs a library that is not here\n  hint: {extras.install('remote')}"
    )


@pytest.mark.parametrize(
    ("endpoint", "own", "expected"),
    [
        (None, None, True),
        ("http://127.0.0.1:9000", None, True),
        ("https://s3.eu-west-1.amazonaws.com", None, True),
        ("http://s3.eu-west-1.amazonaws.com", None, False),
        ("https://amazonaws.com.example.org", None, False),
        ("https://s3.example.org", None, False),
        ("https://s3.example.org", "https://other.example.org", False),
        ("https://s3.example.org", "http://s3.example.org", False),
        ("https://s3.example.org/", "https://s3.example.org:443", True),
    ],
)
def test_whose_endpoint_gets_a_signature(
    endpoint: str | None,
    own: str | None,
    expected: bool,  # noqa: FBT001 -- a row of the table
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Case 26: with it goes a session's token."""
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    if own:
        monkeypatch.setenv("AWS_ENDPOINT_URL", own)
    assert objects.signed(endpoint) is expected


def test_a_project_s_endpoint_is_asked_without_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 26: neither a signature nor a session's token."""
    asked: list[Asked] = []

    def answer(one: Asked, _: bytes) -> Reply:
        asked.append(one)
        return Reply(403)

    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"):
        monkeypatch.setenv(f"AWS_{name}", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with listen(answer) as url:
        monkeypatch.setattr(objects, "signed", lambda _: False)  # loopback would be trusted
        said = refusal(url, tmp_path, "s3://bucket/key", MachineError)
    assert f"set AWS_ENDPOINT_URL_S3={url} yourself, as your credentials do not follow models.toml" in said
    assert [name for one in asked for name in one.headers if name.startswith(("Authorization", "X-Amz"))] == []
    assert asked


@pytest.mark.usefixtures("s3")
def test_a_registry_in_a_bucket(endpoint: str, s3: Any, tmp_path: Path) -> None:
    lab = Lab.make(tmp_path)
    lab.publish("1.0.0")
    for path in sorted(lab.place.rglob("*")):
        if path.is_file():
            s3.upload_file(str(path), "ml-data", f"models/{path.relative_to(lab.place)}")
    address = f"s3://ml-data/models?endpoint={endpoint}&region=us-east-1"
    known = lab.open().log.checkpoint()
    registries = Registries(tmp_path, "demo", [Trust(address, SIGNER.verifier, known)])
    spec = ArtifactSpec("models", "fraud", "registry:fraud-detector", where=WHERE)
    found = resolve(spec, None, Context(tmp_path, Folder(tmp_path / "held"), registries=registries))
    assert [(file.path, file.url, file.local) for file in found.files] == [
        (path, None, None) for path in ("metrics.json", "model.bin", "more/vocabulary.txt")
    ]
    again = fetch(found, Context(tmp_path, Folder(tmp_path / "again")))
    assert again["model.bin"].read_bytes() == b"weights"
    s3.put_object(Bucket="ml-data", Key="models/demo/fraud-detector/1.0.0/model.bin", Body=b"others")
    with pytest.raises(Finding, match=r"model\.bin: is not what was published"):
        resolve(spec, None, Context(tmp_path, Folder(tmp_path / "held"), registries=registries))


def test_a_registry_that_only_a_project_names_is_asked_without_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 26, by way of nixgen.lock."""
    asked: list[Asked] = []

    def answer(one: Asked, _: bytes) -> Reply:
        asked.append(one)
        return Reply(403)

    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"):
        monkeypatch.setenv(f"AWS_{name}", "secret")
    with listen(answer) as url:
        monkeypatch.setattr(objects, "signed", lambda _: False)
        address = f"s3://models?endpoint={url.removeprefix('http://')}&scheme=http&region=us-east-1"
        registries = Registries(tmp_path, "demo", [Trust(address, SIGNER.verifier)])
        with pytest.raises(MachineError, match="may not be read"):
            registries.open(address)
    assert [name for one in asked for name in one.headers if name.startswith(("Authorization", "X-Amz"))] == []
    assert asked
