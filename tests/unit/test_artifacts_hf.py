"""hf: sources, against the double of the hub: what is pinned and read, and where a token goes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.hfsource import FILES, WHERE, a_hub, commit_of, pin, refusal, spec
from support.hub import Asked, Big, Hub, Reply, Repo

from nixgen.artifacts.sources import Context, fetch, resolve
from nixgen.artifacts.sources.hfcard import code_repos
from nixgen.artifacts.sources.paths import wanted
from nixgen.artifacts.store import Folder
from nixgen.errors import MachineError, UserError


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with a_hub(monkeypatch, tmp_path) as running:
        yield running


def test_every_file_is_pinned_at_the_full_commit(hub: Hub, tmp_path: Path) -> None:
    commit = commit_of(hub)
    found = pin(tmp_path)
    assert (found.commit, found.repo, found.repo_type, found.revision) == (commit, "org/model", "model", None)
    assert (found.licence, found.gated, found.scheme) == ("apache-2.0", False, "hf")
    assert [file.path for file in found.files] == sorted(FILES)
    for file in found.files:
        content = FILES[file.path]
        data = content if isinstance(content, bytes) else content.content
        assert (file.size, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert file.url == f"{hub.endpoint}/org/model/resolve/{commit}/{file.path}"


def test_large_files_are_not_read_and_small_ones_once(hub: Hub, tmp_path: Path) -> None:
    pin(tmp_path)
    assert hub.targets("cdn") == []
    read = [target.rpartition("/")[2] for target in hub.targets() if "/resolve/" in target]
    assert sorted(read) == [".gitattributes", "README.md", "config.json", "empty.txt"]
    held = {path.name for path in (tmp_path / "held").iterdir()}
    assert hashlib.sha256(b"# Model\n").hexdigest() in held


def test_a_model_of_many_gigabytes_is_pinned_by_its_names(hub: Hub, tmp_path: Path) -> None:
    shards = {f"model-{n:05}-of-00030.safetensors": Big(declared=(5_000_000_000 + n, f"{n:064x}")) for n in range(30)}
    hub.repo("org/large", shards)
    found = pin(tmp_path, source="hf:org/large")
    assert found.size == 30 * 5_000_000_000 + sum(range(30))
    assert [file.sha256 for file in found.files] == [f"{n:064x}" for n in range(30)]
    assert len(hub.asked) == 2


@pytest.mark.parametrize("revision", ["main", "v1.0", "pr/feature one", "short"])
def test_a_revision_is_asked_for_once_and_all_else_goes_by_its_commit(hub: Hub, tmp_path: Path, revision: str) -> None:
    repo = hub.repos["model", "org/model"]
    commit = repo.commit({"config.json": b"{}"}, branch="pr/feature one", tag="v1.0")
    asked = commit[:9] if revision == "short" else revision
    found = pin(tmp_path, revision=asked)
    assert found.commit == (commit_of(hub) if revision == "main" else commit)
    assert found.revision == asked
    assert hub.targets()[0] == f"/api/models/org/model/revision/{asked}"
    assert all(str(found.commit) in target for target in hub.targets()[1:])


def test_listings_come_in_pages(hub: Hub, tmp_path: Path) -> None:
    hub.page = 2
    assert [file.path for file in pin(tmp_path).files] == sorted(FILES)
    assert sum("/tree/" in target for target in hub.targets()) == 4


@pytest.mark.parametrize(("prefix", "kind"), [("datasets/", "dataset"), ("spaces/", "space"), ("models/", "model")])
def test_other_kinds_of_repos(hub: Hub, tmp_path: Path, prefix: str, kind: str) -> None:
    hub.repo("org/other", {"data/train.csv": b"a\n1\n"}, kind=kind)
    found = pin(tmp_path, source=f"hf:{prefix}org/other", kind="data")
    shown = "" if kind == "model" else prefix
    assert (found.repo, found.repo_type) == ("org/other", kind)
    assert found.files[0].url == f"{hub.endpoint}/{shown}org/other/resolve/{found.commit}/data/train.csv"


@pytest.mark.usefixtures("hub")
def test_include_and_exclude(tmp_path: Path) -> None:
    found = pin(tmp_path, include=("*.json", "onnx/"), exclude=("*.onnx",))
    assert [file.path for file in found.files] == ["config.json"]
    assert refusal(tmp_path, include=("*.gguf",)) == (
        f"{WHERE}: no file of org/model is left by include and exclude\n"
        "  hint: change them; it has, for example: .gitattributes, README.md, config.json …"
    )


@given(
    st.lists(st.text("ab/.*[]?", min_size=1, max_size=6), min_size=1, max_size=5),
    st.lists(st.text("ab/.*[]?!", min_size=1, max_size=5), max_size=3),
    st.lists(st.text("ab/.*[]?!", min_size=1, max_size=5), max_size=3),
)
def test_globs_are_huggingface_hub_s(paths: list[str], include: list[str], exclude: list[str]) -> None:
    hub_client = pytest.importorskip("huggingface_hub.utils")
    theirs = list(
        hub_client.filter_repo_objects(paths, allow_patterns=include or None, ignore_patterns=exclude or None)
    )
    assert wanted(paths, include, exclude) == theirs


def test_what_is_pinned_is_fetched_and_checked(hub: Hub, tmp_path: Path) -> None:
    found = pin(tmp_path)
    places = fetch(found, Context(tmp_path, Folder(tmp_path / "held")))
    for path, content in FILES.items():
        assert places[path].read_bytes() == (content if isinstance(content, bytes) else content.content)
    before = len(hub.asked)
    assert fetch(found, Context(tmp_path, Folder(tmp_path / "held"))) == places
    assert len(hub.asked) == before


def test_without_anything_that_holds_files_they_are_only_hashed(hub: Hub, tmp_path: Path) -> None:
    hub.repo("org/code", {"config.json": b'{"auto_map": {"AutoModel": "other/code--m.C"}}', "a.txt": b"a"})
    found = resolve(spec(source="hf:org/code"), None, Context(tmp_path, None))
    assert found.files[0].sha256 == hashlib.sha256(b"a").hexdigest()
    assert found.extra_repos == ("other/code",)
    assert list(tmp_path.iterdir()) == []


def test_the_same_commit_is_not_read_again(hub: Hub, tmp_path: Path) -> None:
    first = pin(tmp_path)
    hub.asked.clear()
    assert pin(tmp_path, first) == first
    assert not any("/resolve/" in target for target in hub.targets())


def test_code_of_other_repos_is_named(hub: Hub, tmp_path: Path) -> None:
    config = {"auto_map": {"AutoModel": "other/code--modeling.Model", "AutoTokenizer": ["org/model--t.T", None, "x.Y"]}}
    hub.repo("org/model", {"config.json": json.dumps(config).encode(), "tokenizer_config.json": b"not json"})
    assert pin(tmp_path).extra_repos == ("other/code",)


@given(st.binary(max_size=60))
def test_any_config_is_read_or_passed_over(config: bytes) -> None:
    assert isinstance(code_repos(config), set)


def test_a_token_goes_to_the_hub_and_nowhere_else(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from nixgen.console import console

    monkeypatch.setattr(console, "verbose", True)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.tokens = {"hf_secret": {"org/gated"}}
    hub.repo("org/gated", FILES, gated="manual", card={"license": "other", "license_name": "community"})
    found = pin(tmp_path, source="hf:org/gated")
    fetch(found, Context(tmp_path, Folder(tmp_path / "held")))
    assert (found.gated, found.licence) == (True, "community")
    assert {asked.token for asked in hub.asked if asked.host == "hub"} == {"Bearer hf_secret"}
    assert [asked.token for asked in hub.asked if asked.host == "cdn"] == [None, None]
    assert "hf_secret" not in repr(found)
    assert "hf_secret" not in "".join(capfd.readouterr())
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(b"hf_secret" in content for content in written)


def test_a_pin_that_names_another_host_gets_no_token(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    found = pin(tmp_path, include=("onnx/*",))
    elsewhere = hub.cdn + f"/lfs/{found.files[0].sha256}"
    moved = dataclasses.replace(found, files=(dataclasses.replace(found.files[0], url=elsewhere),))
    fetch(moved, Context(tmp_path, Folder(tmp_path / "held")))
    assert [asked.token for asked in hub.asked if asked.host == "cdn"] == [None]


def test_an_endpoint_of_models_toml_gets_no_token(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 26: the token is for the public hub and that of HF_ENDPOINT, whatever a project says."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example.org")
    hub.repo("org/private", FILES, private=True)
    found = pin(tmp_path, endpoint=hub.endpoint)
    fetch(found, Context(tmp_path, Folder(tmp_path / "held")))
    said = refusal(tmp_path, source="hf:org/private", endpoint=hub.endpoint)
    assert f"set HF_ENDPOINT={hub.endpoint} and HF_TOKEN yourself, as no token follows what models.toml says" in said
    assert {asked.token for asked in hub.asked} == {None}
    monkeypatch.setenv("HF_ENDPOINT", f"{hub.endpoint}/")
    pin(tmp_path, endpoint=hub.endpoint)
    assert hub.asked[-1].token == "Bearer hf_secret"


def test_no_token_goes_over_http(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 26: here over a proxy, so that the host needs not be there."""
    hub.repo("org/private", FILES, private=True)
    monkeypatch.setenv("http_proxy", hub.endpoint)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.example.org")
    hub.tamper = lambda *_: Reply.error(401, "RepoNotFound", "Repository not found")
    assert "use the hub's https address, as no token is sent over http" in refusal(tmp_path, source="hf:org/private")
    assert {asked.token for asked in hub.asked} == {None}


@pytest.mark.parametrize("place", ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HOME", "XDG_CACHE_HOME"])
def test_the_token_is_where_huggingface_hub_finds_it(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    folder = tmp_path / "place"
    (folder / "huggingface").mkdir(parents=True)
    for name in ("token", "huggingface/token"):
        (folder / name).write_text(" hf_secret\n")
    value = {"HF_TOKEN_PATH": folder / "token", "HF_HOME": folder, "XDG_CACHE_HOME": folder}.get(place, " hf_secret \n")
    monkeypatch.setenv(place, str(value))
    pin(tmp_path)
    assert hub.asked[0].token == "Bearer hf_secret"
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    pin(tmp_path)
    assert hub.asked[-1].token is None


def test_gated_without_a_token(hub: Hub, tmp_path: Path) -> None:
    hub.repo("org/gated", FILES, gated="manual")
    assert refusal(tmp_path, source="hf:org/gated").partition("\n\n")[0] == (
        f"{WHERE}: the model org/gated is gated: only accounts that were given access read it\n"
        f"  hint: agree to its licence at {hub.endpoint}/org/gated, log in as an account that has access "
        "(hf auth login, or set HF_TOKEN), and run: nixgen sync"
    )


def test_gated_for_a_teammate_without_access(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repo("org/gated", FILES, gated="manual")
    hub.tokens = {"hf_mine": {"org/gated"}, "hf_theirs": set()}
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    found = pin(tmp_path, source="hf:org/gated")
    monkeypatch.setenv("HF_TOKEN", "hf_theirs")
    with pytest.raises(UserError) as caught:
        fetch(found, Context(tmp_path, Folder(tmp_path / "other"), command="nixgen model fetch"))
    assert str(caught.value) == (
        "models.minilm: the model org/gated is gated, and your token's account may not read it\n"
        f"  hint: agree to its licence at {hub.endpoint}/org/gated, log in as an account that has access "
        "(hf auth login, or set HF_TOKEN), and run: nixgen model fetch minilm"
    )


def test_absent_private_and_vanished(hub: Hub, tmp_path: Path) -> None:
    hub.repo("org/private", FILES, private=True)
    for name in ("org/private", "org/nowhere"):
        assert refusal(tmp_path, source=f"hf:{name}") == (
            f"{WHERE}: the model {name} cannot be read (401): it is gone, private or gated\n"
            f"  hint: if it is gone, take another source in models.toml (its page was {hub.endpoint}/{name}); if it is "
            "private, log in as an account that has access (hf auth login, or set HF_TOKEN); if it is gated, agree to "
            "its licence there, too; then run: nixgen sync"
        )
    assert refusal(tmp_path, revision="v9") == (
        f"{WHERE}: the model org/model has no revision v9 (any more)\n"
        f"  hint: choose another in models.toml; they are listed at {hub.endpoint}/org/model/commits/main"
    )


def test_a_busy_hub_is_given_time(hub: Hub, tmp_path: Path) -> None:
    hub.busy = 3
    assert len(pin(tmp_path).files) == len(FILES)
    hub.busy, hub.retry_after = 10, "900"
    assert refusal(tmp_path, MachineError) == (
        f"{hub.endpoint}/api/models/org/model/revision/main: the server answered 429: too many requests\n"
        "  hint: try again in 900 seconds"
    )


def test_a_renamed_repo_is_followed(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub.renamed = {"old/name": "org/model"}
    found = pin(tmp_path, source="hf:old/name")
    assert (found.repo, len(found.files)) == ("old/name", len(FILES))
    assert "the hub now calls old/name by the name org/model; both names work" in capsys.readouterr().err


@pytest.mark.heavy
def test_ten_thousand_files(hub: Hub, tmp_path: Path) -> None:
    hub.repo("org/many", {f"d{n % 10}/f{n}.bin": Big(declared=(n, f"{n:064x}")) for n in range(10_000)})
    found = pin(tmp_path, source="hf:org/many")
    assert len(found.files) == 10_000
    assert len(hub.asked) == 12


def test_many_small_files_share_few_connections(hub: Hub, tmp_path: Path) -> None:
    hub.repo("org/many", {f"{n}.json": b"%d" % n for n in range(200)})
    assert len(pin(tmp_path, source="hf:org/many").files) == 200
    assert len({asked.connection for asked in hub.asked}) <= 9


def test_a_connection_that_was_closed_meanwhile_is_opened_anew(hub: Hub, tmp_path: Path) -> None:
    def tamper(_: Asked, reply: Reply) -> Reply | None:
        reply.cut = len(reply.body)  # the whole answer; then the server closes, without having said so
        reply.silent = True
        return reply

    hub.tamper = tamper
    assert len(pin(tmp_path).files) == len(FILES)


def test_offline(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        resolve(spec(), None, Context(tmp_path, None, offline=True))
    assert str(caught.value) == f"{WHERE}: needs the network\n  hint: run it with the network: nixgen sync"
    assert hub.asked == []


def test_a_repo_double_finds_short_commits() -> None:
    repo = Repo("org/model")
    commit = repo.commit({"a": b""})
    assert repo.find(commit[:7]) == commit
    assert repo.find("main") == commit
    assert repo.find("other") is None
