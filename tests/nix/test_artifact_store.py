"""Files that nixgen adds to a real store: at the path that a fetch has, so that Nix fetches nothing."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest
from support.hub import Big, Hub, serve
from support.nix import ROOT, Nix, enter

from nixgen.artifacts.model import ArtifactSpec, PinnedArchive
from nixgen.artifacts.sources import Context, fetch, resolve
from nixgen.artifacts.store import Store, archive_name, store_name
from nixgen.errors import MachineError


@pytest.fixture
def inside(nix: Nix, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Nix, Store]:
    """An empty store of one version of Nix, and what nixgen makes of it: its nix-store runs with the store at /nix."""
    nix = nix.with_store(store)
    (store / "nix").mkdir()
    program = tmp_path / "bin" / "nix-store"
    program.parent.mkdir()
    entered = " ".join(f"'{word}'" for word in enter(store))
    program.write_text(f'#!/bin/sh\nexec {entered} {nix.bin}/nix-store "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("NIX_CONFIG", nix.config())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = Store.here()
    assert found is not None
    assert found.program == str(program)
    return nix, found


def written(folder: Path, content: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / hashlib.sha256(content).hexdigest()[:12]
    path.write_bytes(content)
    return path


def fetching(name: str, url: str, sha256: str) -> str:
    """The derivation that Nix would fetch a file with."""
    return f'import {ROOT}/nix/fetch.nix {{ name = "{name}"; url = "{url}"; sha256 = "{sha256}"; }}'


def test_a_file_lands_where_its_derivation_has_it(inside: tuple[Nix, Store], tmp_path: Path) -> None:
    nix, store = inside
    rows = [
        (written(tmp_path / "files", content), store_name(path), hashlib.sha256(content).hexdigest())
        for path, content in [
            ("config.json", b"{}"),
            ("sub/config.json", b"[]"),
            (".gitattributes", b"*"),
            ("ü ber/mödel (1).bin", b"m"),
            ("empty.txt", b""),
        ]
    ]
    keys = [(name, sha256) for _, name, sha256 in rows]
    assert store.find(keys) == {}
    places = store.add(rows)
    assert store.find(keys) == dict(zip(keys, places, strict=True))
    for (_, name, sha256), place in zip(rows, places, strict=True):
        wanted = fetching(name, "http://127.0.0.1:9/", sha256)
        assert nix.evaluate(f"({wanted}).outPath") == str(place)
        assert nix.build_expression(wanted) == place  # nothing is fetched: nobody listens at that address
    assert not any((tmp_path / "files").iterdir())


def test_a_pinned_repo_is_built_without_its_hub(
    inside: tuple[Nix, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nix, store = inside
    with serve(Hub()) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        hub.repo("org/model", {"config.json": b"{}", "sub/config.json": b"[]", "model.bin": Big(b"w" * (9 << 20))})
        context = Context(tmp_path)
        assert context.holder == store
        pinned = resolve(ArtifactSpec("models", "m", "hf:org/model"), None, context)
        small = [(store_name(file.path), file.sha256) for file in pinned.files if file.path != "model.bin"]
        assert len(store.find(small)) == 2
        assert hub.targets("cdn") == []
        places = fetch(pinned, context)
        asked = len(hub.asked)
        assert fetch(pinned, context) == places
        assert len(hub.asked) == asked
    for file in pinned.files:
        wanted = fetching(store_name(file.path), str(file.url), file.sha256)
        assert nix.build_expression(wanted) == places[file.path]


def test_what_lies_there_is_not_what_nix_knows(inside: tuple[Nix, Store]) -> None:
    nix, store = inside
    sha256 = hashlib.sha256(b"real").hexdigest()
    place = store.path("model.bin", sha256)
    nix.real(place).parent.mkdir(parents=True)
    nix.real(place).write_bytes(b"fake")
    assert store.find([("model.bin", sha256)]) == {}


def test_bytes_that_change_on_the_way(inside: tuple[Nix, Store], tmp_path: Path) -> None:
    _, store = inside
    path = written(tmp_path / "files", b"other")
    with pytest.raises(MachineError, match=r"model\.bin: changed on its way into the store"):
        store.add([(path, "model.bin", hashlib.sha256(b"real").hexdigest())])


@pytest.mark.one_nix
def test_many_files_of_one_name(inside: tuple[Nix, Store], tmp_path: Path) -> None:
    _, store = inside
    contents = [b"%d" % number for number in range(900)]
    rows = [(written(tmp_path / "files", c), "config.json", hashlib.sha256(c).hexdigest()) for c in contents]
    places = store.add(rows)
    assert len(set(places)) == 900
    assert len(store.find((name, sha256) for _, name, sha256 in rows)) == 900


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/b/model.safetensors", "model.safetensors"),
        (".gitattributes", "_.gitattributes"),
        ("ü", "_"),
        ("a b(c)+d=e?f.bin", "a_b_c_+d=e?f.bin"),
        ("x" * 250, "x" * 200),
        ("." + "x" * 250, "_." + "x" * 198),
    ],
)
def test_names(path: str, name: str) -> None:
    assert store_name(path) == name


def test_names_of_archives() -> None:
    assert archive_name(PinnedArchive("0" * 64, 1, "https://example.org/a%2Bb.whl?x=1#y")) == "a_2Bb.whl"
    assert archive_name(PinnedArchive("0" * 64, 1, local="weights/all.zip")) == "all.zip"
    assert archive_name(PinnedArchive("0" * 64, 1)) == "archive"


@pytest.mark.parametrize("xet", [False, True])
def test_nix_fetches_from_the_hub_by_the_full_commit_through_its_redirects(nix: Nix, store: Path, *, xet: bool) -> None:
    """The derivation that a project's default.nix has for a file, built by Nix's own fetcher in an empty store."""
    nix = nix.with_store(store)
    contents = {"model.safetensors": b"weights" * 5000, "config.json": b"{}\n"}
    with serve() as hub:
        large = Big(contents["model.safetensors"], xet=xet)
        commit = hub.repo("demo/model", {**contents, "model.safetensors": large}).refs["main"]
        for path, content in contents.items():
            url = f"{hub.endpoint}/demo/model/resolve/{commit}/{path}"
            digest = hashlib.sha256(content).hexdigest()
            expression = f'import {ROOT}/nix/fetch.nix {{ name = "{path}"; url = "{url}"; sha256 = "{digest}"; }}'
            assert nix.real(nix.build_expression(expression)).read_bytes() == content
        assert {asked.host for asked in hub.asked} == {"hub", "cdn"}
