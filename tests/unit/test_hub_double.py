"""The hub's double, as the real huggingface_hub client sees it: what it cannot tell from the hub, nixgen may trust."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.hub import Asked, Big, Content, Hub, Reply, blob_id, serve

pytest.importorskip("huggingface_hub")
pytestmark = pytest.mark.heavy

WEIGHTS = Big(b"weights" * 1000, xet=True)
FILES: dict[str, Content] = {
    ".gitattributes": b"*.safetensors filter=lfs\n",
    "README.md": "# Modèle\n".encode(),
    "config.json": b'{"model_type": "bert"}\n',
    "empty.txt": b"",
    "model.safetensors": WEIGHTS,
    "onnx/model.onnx": Big(b"\0onnx" * 300),
    "onnx/sub folder/ü.json": b"{}",
}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve() as running:
        running.repo("org/model", FILES)
        yield running


def client(hub: Hub, tmp_path: Path, code: str, **env: str) -> Any:
    """What ``code`` prints as JSON, run with the real client in a process of its own: its settings are read once."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    settings = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
    quiet = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1"}
    done = subprocess.run(
        [sys.executable, "-c", f"import json, huggingface_hub as h; api = h.HfApi()\n{code}"],
        env={**kept, **settings, **quiet, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_it_says_that_it_is_a_double(hub: Hub) -> None:
    from urllib.request import urlopen

    with urlopen(f"{hub.endpoint}/api/models/org/model") as answer:
        assert answer.headers["X-Hub-Double"] == "1"


def test_a_snapshot_has_every_file(hub: Hub, tmp_path: Path) -> None:
    folder = Path(client(hub, tmp_path, "print(json.dumps(h.snapshot_download('org/model')))"))
    commit = hub.repos["model", "org/model"].refs["main"]
    assert folder.name == commit
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == {
        path: content if isinstance(content, bytes) else content.content for path, content in FILES.items()
    }


def test_listings_in_pages_are_the_revision_s_files(hub: Hub, tmp_path: Path) -> None:
    hub.page = 3
    rows = client(
        hub,
        tmp_path,
        "rows = [f for f in api.list_repo_tree('org/model', recursive=True) if isinstance(f, h.hf_api.RepoFile)]\n"
        "print(json.dumps({f.path: [f.size, f.blob_id, f.lfs and f.lfs.sha256, f.xet_hash] for f in rows}))",
    )
    assert set(rows) == set(FILES)
    assert rows["README.md"] == [10, blob_id("# Modèle\n".encode()), None, None]
    assert rows["model.safetensors"][0] == 7000
    assert rows["model.safetensors"][2] == hashlib.sha256(WEIGHTS.content).hexdigest()
    assert len(rows["model.safetensors"][3]) == 64
    assert [target for target in hub.targets() if "/tree/" in target] == ["/api/models/org/model/tree/main"] * 3


def test_both_listings_give_the_same_hash_under_their_own_names(hub: Hub, tmp_path: Path) -> None:
    rows = client(
        hub,
        tmp_path,
        "info = api.model_info('org/model', files_metadata=True)\n"
        "some = api.get_paths_info('org/model', ['model.safetensors', 'nowhere'], expand=True)\n"
        "print(json.dumps([{s.rfilename: s.lfs and s.lfs.sha256 for s in info.siblings}['model.safetensors'],"
        " [f.lfs.sha256 for f in some], some[0].security.safe]))",
    )
    assert rows == [WEIGHTS.sha256, [WEIGHTS.sha256], True]


def test_file_metadata_comes_with_the_redirect(hub: Hub, tmp_path: Path) -> None:
    code = (
        "m = h.get_hf_file_metadata(h.hf_hub_url('org/model', 'model.safetensors'))\n"
        "print(json.dumps([m.commit_hash, m.etag, m.size, m.location]))"
    )
    commit, etag, size, location = client(hub, tmp_path, code)
    assert (commit, etag, size) == (hub.repos["model", "org/model"].refs["main"], WEIGHTS.sha256, 7000)
    assert location.startswith(f"{hub.cdn}/xet/{WEIGHTS.sha256}?")


def test_errors_have_the_client_s_classes(hub: Hub, tmp_path: Path) -> None:
    hub.tokens = {"hf_member": {"org/gated"}, "hf_stranger": set()}
    hub.repo("org/gated", {"config.json": b"{}"}, gated="manual")
    hub.repo("org/private", {"config.json": b"{}"}, private=True)
    code = (
        "def tried(do):\n"
        "    try:\n        do(); return 'fine'\n"
        "    except Exception as error:\n        return type(error).__name__\n"
        "print(json.dumps([tried(lambda: api.model_info('org/nowhere')),"
        " tried(lambda: api.model_info('org/private')),"
        " tried(lambda: api.model_info('org/model', revision='v9')),"
        " tried(lambda: h.hf_hub_download('org/model', 'nowhere.json')),"
        " tried(lambda: api.model_info('org/gated')),"
        " tried(lambda: h.hf_hub_download('org/gated', 'config.json'))]))"
    )
    start = ["RepositoryNotFoundError", "RepositoryNotFoundError", "RevisionNotFoundError", "RemoteEntryNotFoundError"]
    assert client(hub, tmp_path, code) == [*start, "fine", "GatedRepoError"]
    assert client(hub, tmp_path, code, HF_TOKEN="hf_stranger") == [*start, "fine", "GatedRepoError"]
    assert client(hub, tmp_path / "other", code, HF_TOKEN="hf_member") == [*start, "fine", "fine"]


def test_a_break_is_resumed_by_the_client_with_a_range(hub: Hub, tmp_path: Path) -> None:
    large = Big(bytes(range(256)) * (12 << 12))  # the client goes on after whole pieces of 10 MiB
    hub.repo("org/large", {"model.bin": large})
    broken: list[bool] = []

    def tamper(asked: Asked, reply: Reply) -> Reply | None:
        if asked.host == "cdn" and not broken:
            broken.append(True)
            reply.cut = 11 << 20
        return reply

    hub.tamper = tamper
    path = client(hub, tmp_path, "print(json.dumps(h.hf_hub_download('org/large', 'model.bin')))")
    assert hashlib.sha256(Path(path).read_bytes()).hexdigest() == large.sha256
    assert [asked.headers.get("Range") for asked in hub.asked if asked.host == "cdn"] == [None, "bytes=10485760-"]


def test_a_busy_hub_is_asked_again(hub: Hub, tmp_path: Path) -> None:
    hub.busy = 1
    assert client(hub, tmp_path, "print(json.dumps(sum(1 for _ in api.list_repo_tree('org/model'))))") == 6


def test_datasets_spaces_and_slashes_in_branches(hub: Hub, tmp_path: Path) -> None:
    repo = hub.repo("org/set", {"train.csv": b"a\n1\n"}, kind="dataset")
    other = repo.commit({"sub/train.csv": b"a\n2\n"}, branch="refs/convert/parquet")
    code = (
        "path = h.hf_hub_download('org/set', 'sub/train.csv', repo_type='dataset', revision='refs/convert/parquet')\n"
        "print(json.dumps([path, open(path).read()]))"
    )
    path, content = client(hub, tmp_path, code)
    assert content == "a\n2\n"
    assert other in path
