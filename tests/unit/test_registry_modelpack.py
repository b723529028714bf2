"""A published version as an OCI artifact: against the published schemas, and the same bytes each time."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from registries import MODEL, NAME, Lab

from nixgen.errors import Finding, UserError
from nixgen.oci.model import Image
from nixgen.registries.place import Place
from nixgen.registry import modelpack
from nixgen.registry.entry import Entry
from nixgen.registry.modelpack import Exported
from nixgen.registry.names import Ref
from nixgen.registry.publish import Content, publish
from nixgen.registry.stamp import Stamp
from nixgen.releases import commands

SCHEMAS = Path(__file__).resolve().parents[1] / "support" / "schemas"
FILES = {
    "model.onnx": b"weights",
    "tokenizer.json": b"{}",
    "more/README.md": b"# It",
    "predict.py": b"",
    "again.onnx": b"weights",
}
RUN = {"git": {"commit": "c" * 40, "remote": "https://git.example.org/demo"}}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab.make(tmp_path)
    documents = {"metrics.json": b'{"auc": 0.9}\n', "run.json": json.dumps(RUN).encode()}
    content = Content(made.artifacts(FILES), documents, "20261103-120001-abcdef")
    publish(made.open(), Ref(NAME, version="1.0.0+one"), content, Stamp("ann", "2026-11-03T12:00:00.000000Z"))
    return made


def entry(lab: Lab) -> Entry:
    return lab.open().state().model(MODEL).versions["1.0.0+one"]


def export(lab: Lab, out: Path) -> Exported:
    return modelpack.export(lab.open(), entry(lab), out)


def blob(layout: Path, descriptor: Mapping[str, Any]) -> bytes:
    """The bytes that a descriptor stands for."""
    kind, _, digest = descriptor["digest"].partition(":")
    data = (layout / "blobs" / kind / digest).read_bytes()
    assert (hashlib.sha256(data).hexdigest(), len(data)) == (digest, descriptor["size"])
    return data


def valid(value: object, name: str) -> None:
    """Against a published schema; they name one another by their file names."""
    jsonschema, referencing = pytest.importorskip("jsonschema"), pytest.importorskip("referencing")
    draft = pytest.importorskip("referencing.jsonschema").DRAFT4

    def schema(uri: str) -> Any:
        return json.loads((SCHEMAS / "oci" / uri.rpartition("/")[2]).read_text())

    registry = referencing.Registry(retrieve=lambda uri: referencing.Resource(schema(uri), draft))
    found = json.loads((SCHEMAS / name).read_text())
    checker = jsonschema.FormatChecker()
    jsonschema.Draft4Validator(found, registry=registry, format_checker=checker).validate(value)


def test_a_layout_is_what_the_specifications_say(lab: Lab, tmp_path: Path) -> None:
    done = export(lab, tmp_path / "out")
    layout = tmp_path / "out"
    index = json.loads((layout / "index.json").read_text())
    valid(json.loads((layout / "oci-layout").read_text()), "oci/image-layout-schema.json")
    valid(index, "oci/image-index-schema.json")
    [found] = index["manifests"]
    assert found["digest"] == done.digest
    assert found["annotations"] == {"org.opencontainers.image.ref.name": "1.0.0+one"}
    manifest = json.loads(blob(layout, found))
    valid(manifest, "oci/image-manifest-schema.json")
    assert manifest["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    assert manifest["config"]["mediaType"] == "application/vnd.cncf.model.config.v1+json"
    config = json.loads(blob(layout, manifest["config"]))
    valid(config, "modelpack/config-schema.json")
    assert config["descriptor"] == {
        "createdAt": "2026-11-03T12:00:00.000000Z",
        "authors": ["ann"],
        "name": NAME,
        "title": MODEL,
        "version": "1.0.0+one",
        "revision": "c" * 40,
        "sourceURL": "https://git.example.org/demo",
    }
    assert config["config"] == {"format": "onnx"}
    assert config["modelfs"]["diffIds"] == [layer["digest"] for layer in manifest["layers"]]
    layers = {layer["annotations"]["org.cncf.model.filepath"]: layer for layer in manifest["layers"]}
    kinds = {path: layer["mediaType"].removeprefix("application/vnd.cncf.model.") for path, layer in layers.items()}
    assert kinds == {
        "again.onnx": "weight.v1.raw",
        "checksum.txt": "doc.v1.raw",
        "metrics.json": "doc.v1.raw",
        "model.onnx": "weight.v1.raw",
        "more/README.md": "doc.v1.raw",
        "predict.py": "code.v1.raw",
        "run.json": "doc.v1.raw",
        "tokenizer.json": "weight.config.v1.raw",
    }
    assert {path: blob(layout, layers[path]) for path in FILES} == FILES
    # The log's digest of the version stands in the manifest: it is that of checksum.txt.
    assert layers["checksum.txt"]["digest"] == f"sha256:{entry(lab).digest}"
    blobs = {path.name for path in (layout / "blobs/sha256").iterdir()}
    assert blobs == {one["digest"].partition(":")[2] for one in [found, manifest["config"], *manifest["layers"]]}


def test_the_same_version_has_the_same_bytes(lab: Lab, tmp_path: Path) -> None:
    first, second = export(lab, tmp_path / "a.tar"), export(lab, tmp_path / "b.tar")
    assert first == second
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    export(lab, tmp_path / "folder")
    with tarfile.open(tmp_path / "a.tar") as archive:
        members = {one.name: archive.extractfile(one) for one in archive.getmembers() if one.isfile()}
        found = {name: file.read() for name, file in members.items() if file}
    layout = tmp_path / "folder"
    assert found == {str(one.relative_to(layout)): one.read_bytes() for one in layout.rglob("*") if one.is_file()}


def test_half_a_character_in_a_log(lab: Lab, tmp_path: Path) -> None:
    """JSON has such texts, and no file does."""
    modelpack.export(lab.open(), replace(entry(lab), by="ann\ud800"), tmp_path / "out")
    index = json.loads((tmp_path / "out/index.json").read_bytes())
    manifest = json.loads(blob(tmp_path / "out", index["manifests"][0]))
    assert json.loads(blob(tmp_path / "out", manifest["config"]))["descriptor"]["authors"] == ["ann\ud800"]


def test_it_is_written_whole_or_not_at_all(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match="is there already"):
        export(lab, tmp_path / "there")
    (tmp_path / "link.tar").symlink_to("nothing")
    with pytest.raises(UserError, match="is there already"):
        export(lab, tmp_path / "link.tar")
    (lab.place / MODEL / "1.0.0+one" / "model.onnx").write_bytes(b"others")
    before = sorted(tmp_path.iterdir())
    for name in ("out", "out.tar"):
        with pytest.raises(Finding, match="is not what was published"):
            export(lab, tmp_path / name)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("out", ["layout", "layout.tar", ""])
def test_what_is_written_and_pushed_is_made_once(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    made: list[Path] = []
    pushed: list[tuple[str, list[str], bytes]] = []
    make = modelpack._image
    monkeypatch.setattr(modelpack, "_image", lambda *given: made.append(given[2]) or make(*given))  # type: ignore[func-returns-value]
    monkeypatch.setattr(commands, "opened", lambda _asked, _name: lab.open())

    def send(place: Place, image: Image, tags: Sequence[str]) -> None:
        pushed.append((place.name, list(tags), b"".join(image.blobs[-1].checked())))

    monkeypatch.setattr(commands, "send", send)
    (tmp_path / ".nixgen-killed.new").mkdir()
    place = tmp_path / out if out else None
    _, written, where, done = commands.export(
        commands.Asked(tmp_path), Ref(NAME, version="1.0.0+one"), place, "registry.example.org/fraud"
    )
    assert (written, where) == (place, "registry.example.org/fraud:1.0.0_one")
    [(name, tags, last)] = pushed
    assert (name, tags) == ("fraud", ["1.0.0_one"])
    assert last == b"{}"
    assert len(made) == 1
    assert done.layers
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith((".", "layout"))] == (
        [out] if out else [".nixgen-killed.new"]
    )
