"""``registry:`` sources: what the log says is pinned, stays pinned, and is refused where files or log are others."""

from __future__ import annotations

import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from registries import MODEL, NAME, SIGNER, Lab

from nixgen.artifacts import drift, pins
from nixgen.artifacts.locking import Request, lock_artifacts, summary
from nixgen.artifacts.manifest import parse_manifest, read_manifest
from nixgen.artifacts.model import PinnedArtifact
from nixgen.artifacts.sources import Context, fetch, local
from nixgen.artifacts.store import Folder, Store
from nixgen.errors import Finding, NixgenError, Problem, UserError
from nixgen.formats.strictjson import Table
from nixgen.log.checkpoint import Checkpoint
from nixgen.log.note import Signer
from nixgen.registry.known import Registries, Trust
from nixgen.registry.names import Ref
from nixgen.registry.promote import rollback
from nixgen.registry.stamp import Stamp

TOML = f'version = 1\n[models.fraud]\nsource = "registry:{NAME}@prod"\n'
UP, PLAIN = Request(upgrade=True), Request()
FILES = ["metrics.json", "model.bin", "more/vocabulary.txt"]


class Project:
    """A project that takes a model from a registry; ``address`` is how its nixgen.lock notes that."""

    def __init__(self, lab: Lab, address: str = "registry") -> None:
        self.lab, self.root, self.address = lab, lab.folder, address
        self.pins: tuple[PinnedArtifact, ...] = ()
        self.known = self.checkpoint()
        (self.root / "models.toml").write_text(TOML)

    def checkpoint(self) -> Checkpoint:
        found = self.lab.open().log.checkpoint()
        assert found is not None
        return found

    def lock(self, request: Request = PLAIN, **noted: Trust) -> list[str]:
        """What ``nixgen lock`` says that it pinned."""
        trusts = noted.values() or [Trust(self.address, SIGNER.verifier, self.known)]
        registries = Registries(self.root, "demo", trusts)
        old, self.pins = self.pins, lock_artifacts(self.root, "", self.pins, request, registries)
        [one] = [one for one in registries.noted() if one.address == self.address]
        assert one.known is not None
        self.known = one.known
        return list(summary(old, self.pins, request))

    def refusal(self, request: Request = PLAIN, kind: type[NixgenError] = Finding, **noted: Trust) -> str:
        before = self.pins, self.known
        with pytest.raises(kind) as caught:
            self.lock(request, **noted)
        assert before == (self.pins, self.known)
        return str(caught.value)

    @property
    def pin(self) -> PinnedArtifact:
        [found] = self.pins
        return found


@pytest.fixture(autouse=True)
def _without_nix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "here", lambda: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    lab = Lab.make(tmp_path)
    lab.publish("1.0.0")
    lab.promote("1.0.0")
    return Project(lab)


def test_an_alias_is_pinned_as_version_and_files(project: Project) -> None:
    entry = project.lab.open().state().model(MODEL).versions["1.0.0"]
    assert project.lock() == [f"Pinned models.fraud: registry:{NAME}@prod at 1.0.0, 3 files, 25 B."]
    assert project.pin.registered is not None
    assert project.pin.registered.digest == entry.digest
    assert (project.pin.scheme, project.pin.exact) == ("registry", "1.0.0")
    assert [(file.path, file.url, file.local) for file in project.pin.files] == [
        (path, None, f"registry/{MODEL}/1.0.0/{path}") for path in FILES
    ]
    problems: list[Problem] = []
    table = json.loads(json.dumps(pins.dump(project.pins)))
    assert pins.parse(Table(table, "nixgen.lock", "", problems, "")) == project.pins
    assert not problems
    assert not drift.problems(read_manifest(project.root), project.pins, "")


def test_a_pin_stays_when_the_alias_moves_and_moves_when_that_is_asked(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.lock()
    known = project.known
    assert project.lock() == []
    assert capsys.readouterr().err == ""
    project.lab.publish("1.1.0", b"better")
    project.lab.promote("1.1.0")
    assert project.lock() == []
    assert project.pin.exact == "1.0.0"
    assert project.known == known  # a pin that stays does not change nixgen.lock
    assert capsys.readouterr().err == (
        f"models.fraud: stays 1.0.0, and registry:{NAME}@prod is 1.1.0 now. To move: nixgen lock --upgrade fraud\n"
    )
    assert project.lock(UP) == [
        f"Pinned models.fraud: registry:{NAME}@prod at 1.1.0, 3 files, 24 B.",
        "  version: 1.0.0 → 1.1.0",
        "  model.bin: changed, 7 B → 6 B",
    ]
    assert project.known == project.checkpoint() != known
    assert project.lock(UP) == [f"models.fraud: registry:{NAME}@prod is still 1.1.0."]
    rollback(project.lab.open(), NAME, "prod", Stamp.now("ann"))
    assert project.lock(Request(upgrade=True, names=("fraud",)))[1] == "  version: 1.1.0 → 1.0.0"


def test_a_version_of_its_own_and_the_highest(project: Project) -> None:
    project.lab.publish("1.1.0", b"better")
    for source, version in (("@1.0.0", "1.0.0"), ("", "1.1.0")):
        (project.root / "models.toml").write_text(TOML.replace("@prod", source))
        project.lock()
        assert project.pin.exact == version
    (project.root / "models.toml").write_text(TOML.replace("registry:", "registry:demo/"))
    project.lock()
    assert project.pin.exact == "1.0.0"
    assert project.pin.registered is not None
    assert project.pin.registered.model == MODEL


def test_globs_choose_files(project: Project) -> None:
    (project.root / "models.toml").write_text(TOML + 'include = ["model.*"]\n')
    project.lock()
    assert [file.path for file in project.pin.files] == ["model.bin"]


def test_what_is_deprecated_warns(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    registry = project.lab.open()
    registry.append(Stamp.now("ann", "trained on leaked labels").entry("deprecate", MODEL, "1.0.0"))
    warning = f"warning: models.fraud: {MODEL}@1.0.0 is deprecated: trained on leaked labels\n"
    project.lock()
    assert capsys.readouterr().err == warning
    project.lock()
    assert capsys.readouterr().err == warning


@pytest.mark.parametrize("path", ["model.bin", "metrics.json"])
def test_files_that_are_not_what_the_log_has(project: Project, path: str) -> None:
    place = project.lab.place / MODEL / "1.0.0" / path
    kept = place.read_bytes()
    place.write_bytes(b"others")
    said = project.refusal()
    assert said.startswith(f"models.fraud: {MODEL}/1.0.0/{path}: is not what was published: its SHA-256 should be ")
    place.unlink()
    assert project.refusal().startswith(f"models.fraud: {MODEL}/1.0.0/{path}: was published, and is missing")
    place.write_bytes(kept)
    listing = place.parent / "checksum.txt"
    if path == "metrics.json":
        path = "checksum.txt"
    listing.write_bytes(listing.read_bytes().replace(b"more/", b"evil/"))
    assert project.refusal().startswith(f"{MODEL}/1.0.0/checksum.txt: is not the one that was published")


def test_a_log_in_two_versions(project: Project) -> None:
    """What was noted is of a log that is not the one that is there now: nothing is pinned from it."""
    other = Lab.make(project.root / "other")
    other.publish("1.0.0", b"other weights")
    other.promote("1.0.0")
    project.lock()
    shutil.rmtree(project.lab.place)
    shutil.copytree(other.place, project.lab.place)
    for request in (PLAIN, UP):
        assert "was forked: the recorded checkpoint is of other entries" in project.refusal(request)


def test_a_log_that_was_shortened_or_put_back(project: Project) -> None:
    copy = project.root / "copy"
    shutil.copytree(project.lab.place, copy)
    project.lab.publish("1.1.0", b"better")
    project.lab.promote("1.1.0")
    project.lock()
    assert project.pin.exact == "1.1.0"
    shutil.rmtree(project.lab.place)
    shutil.copytree(copy, project.lab.place)
    assert "was shortened: it had 4 entries, and has 2" in project.refusal(UP)
    (project.lab.place / "log/checkpoint").unlink()
    assert "was shortened: it had 4 entries, and has 0" in project.refusal()


def test_a_log_of_another_key(project: Project) -> None:
    stranger = Trust("registry", Signer("demo-1", b"\1" * 32).verifier, project.known)
    assert "is not signed" in project.refusal(registry=stranger)


def test_a_pin_that_the_log_does_not_have(project: Project) -> None:
    project.lock()
    made = project.pin.registered
    assert made is not None
    kept = project.pin
    for forged in (replace(made, digest="0" * 64), replace(made, version="9.9.9")):
        project.pins = (replace(kept, registered=forged),)
        said = project.refusal()
        assert said.startswith(f"models.toml: models.fraud: nixgen.lock pins {MODEL}@{forged.version} with the digest ")


def test_which_registry(project: Project) -> None:
    here = Trust("registry", SIGNER.verifier, project.known)
    address = f"file://{project.lab.place}"
    there = replace(here, address=address)
    assert project.refusal(kind=UserError, a=here, b=there) == (
        f"models.toml: models.fraud: nixgen.lock notes several registries\n"
        f'  hint: say which: registry = "{address}"; noted are {address}, registry'
    )
    (project.root / "models.toml").write_text(f'{TOML}registry = "{project.lab.place}/"\n')
    project.lock(a=here, b=there)
    assert project.pin.registered is not None
    assert project.pin.registered.registry == address
    [(_, what)] = drift.changes(replace(read_manifest(project.root).models[0], registry="registry"), project.pin, "")
    assert what == f"is registry, and nixgen.lock was made for {address}"
    (project.root / "models.toml").write_text(f'{TOML}registry = "s3://models"\n')
    assert project.refusal(kind=UserError) == (
        "models.toml: models.fraud: nixgen.lock knows no registry s3://models\n"
        "  hint: note it with its log's key: nixgen registry init --registry s3://models --log-key KEY"
    )
    (project.root / "models.toml").write_text(TOML)
    project.pins = ()
    with pytest.raises(UserError, match="notes no registry"):
        lock_artifacts(project.root, "", (), PLAIN)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("other@prod", "demo/other: there is no such model in the registry"),
        (f"{NAME}@staging", f"{NAME}@staging: staging is neither a version (like 1.2.3) nor an alias"),
        (f"{NAME}@2.0.0", f"{NAME}@2.0.0: there is no such version"),
        (f"others/{NAME}@prod", f"others/{NAME}: there is no such model in the registry"),
    ],
)
def test_what_the_log_does_not_have(project: Project, word: str, said: str) -> None:
    (project.root / "models.toml").write_text(TOML.replace(f"{NAME}@prod", word))
    assert project.refusal(kind=UserError).startswith(said)


def test_a_folder_of_the_machine_is_read_into_what_holds_files(project: Project) -> None:
    project.address = f"file://{project.lab.place}"
    project.lock(Request(offline=True))  # no network is needed
    assert [(file.url, file.local) for file in project.pin.files] == [(None, None)] * 3
    holder = Folder(project.root / "held")
    places = fetch(project.pin, Context(project.root, holder, offline=True))
    assert places["model.bin"].read_bytes() == b"weights"
    assert fetch(project.pin, Context(project.root, holder)) == places
    shutil.rmtree(holder.folder)
    (project.lab.place / MODEL / "1.0.0/model.bin").write_bytes(b"others")
    with pytest.raises(Finding, match=r"model\.bin: is not what was published"):
        fetch(project.pin, Context(project.root, holder))
    assert not [path for path in holder.folder.iterdir() if path.name.startswith("whole-")]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def served(project: Project) -> Iterator[str]:
    handler = partial(_Quiet, directory=str(project.lab.place))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_web_server_is_where_nix_fetches_from(
    project: Project, served: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project.address = served
    with pytest.raises(UserError, match="needs the network"):
        project.lock(Request(offline=True))
    project.lock()
    assert [file.url for file in project.pin.files] == [f"{served}/{MODEL}/1.0.0/{path}" for path in FILES]
    capsys.readouterr()
    project.lock(Request(offline=True))
    assert capsys.readouterr().err == ""


def test_a_registry_that_cannot_be_asked_is_no_reason_to_stop(
    project: Project, served: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project.address = served
    project.lock()
    pin = project.pin
    assert pin.registered is not None
    project.address = "http://127.0.0.1:9"
    project.pins = (replace(pin, registered=replace(pin.registered, registry=project.address)),)
    assert project.lock() == []
    assert capsys.readouterr().err.startswith("warning: models.fraud: stays 1.0.0; its registry cannot be asked: ")


def test_a_file_of_the_project_that_changed_is_told_before_a_build(project: Project) -> None:
    project.lock()
    assert local.changed(project.root, project.pins) == []
    (project.lab.place / MODEL / "1.0.0/model.bin").write_bytes(b"others")
    [problem] = local.changed(project.root, project.pins)
    assert problem.where == f"models.fraud: registry/{MODEL}/1.0.0/model.bin"
    assert problem.what == "changed after it was pinned"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"member": "a"}, "member: is for archives, and the source is registry:"),
        ({"revision": "1.0.0"}, "revision: is for hf: sources, and the source is registry:"),
        ({"endpoint": "https://s3.example.org"}, "endpoint: is for s3: and hf: sources"),
        ({"sha256": "0" * 64}, "sha256: is the checksum of one file, and the source may have several"),
        ({"registry": "../registry"}, "registry: is not a folder of the project"),
        ({"registry": "https://me:secret@models.example.org"}, "registry: has a user name or password in it"),
        (
            {"source": "hf:org/name", "registry": "registry"},
            "registry: is for registry: sources, and the source is hf:",
        ),
    ],
)
def test_keys_that_do_not_fit(more: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_manifest({"version": 1, "models": {"fraud": {"source": f"registry:{NAME}@prod", **more}}})
    assert [f"models.toml: models.fraud.{said}"] == [
        str(problem).partition("\n")[0][: len(f"models.toml: models.fraud.{said}")] for problem in caught.value.problems
    ]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("model", "../../etc", "impossible value"),
        ("version", "../1.0.0", "impossible value"),
        ("digest", "0", "impossible value"),
        ("registry", "../registry", "is not an address"),
        ("more", "x", "is not a known key"),
    ],
)
def test_a_lock_made_by_hand(project: Project, key: str, value: str, said: str) -> None:
    project.lock()
    table = json.loads(json.dumps(pins.dump(project.pins)))
    table["models"]["fraud"]["registered"][key] = value
    problems: list[Problem] = []
    pins.parse(Table(table, "nixgen.lock", "", problems, ""))
    assert [problem for problem in problems if said in problem.what], problems
    problems.clear()
    del table["models"]["fraud"]["registered"]
    pins.parse(Table(table, "nixgen.lock", "", problems, ""))
    assert [problem.what for problem in problems] == [
        'is "registry" where "registered" says which version, and nowhere else'
    ]


def test_the_highest_is_not_a_deprecated_one(project: Project) -> None:
    project.lab.publish("1.1.0", b"better")
    project.lab.open().append(Stamp.now("ann", "wrong").entry("deprecate", MODEL, "1.1.0"))
    assert project.lab.open().state().version("demo", Ref(NAME)).version == "1.0.0"
    (project.root / "models.toml").write_text(TOML.replace("@prod", ""))
    project.lock()
    assert project.pin.exact == "1.0.0"


def test_a_dataset_is_published_too(project: Project) -> None:
    text = TOML.replace("models.fraud", "data.words") + 'include = ["*.txt"]\n'
    (project.root / "models.toml").write_text(text)
    project.lock()
    assert project.pin.data is not None
    assert project.pin.data.storage_uri == f"registry:{NAME}@prod"
