"""From ``nixgen model add`` to a pinned model and back, against the double of the hub, on a machine without Nix."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import program
from support.hub import Big, Hub, Repo, serve

from nixgen.lock import lockfile
from nixgen.lock.model import Lock
from nixgen.nix import install

FILES: dict[str, bytes | Big] = {
    "README.md": b"---\nlicense: apache-2.0\n---\n",
    "config.json": b'{"model_type": "bert"}\n',
    "model.safetensors": Big(b"\x08" + bytes(4000)),
    "onnx/model.onnx": Big(bytes(9000)),
}


class Project:
    """A uv project and how nixgen is run in it: no Nix, a home of its own, the hub's double as the hub."""

    def __init__(self, root: Path, hub: Hub, home: Path) -> None:
        self.root, self.hub = root, hub
        self.environment = {
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home / "cache"),
            "HF_ENDPOINT": hub.endpoint,
            "PATH": "/nowhere",
        }

    def nixgen(self, *arguments: str) -> tuple[int, str]:
        """The exit code, and what was printed to both streams."""
        done = program.nixgen(*arguments, cwd=self.root, together=True, **self.environment)
        return done.returncode, done.stdout

    @property
    def lock(self) -> Lock:
        return lockfile.read_lock(self.root / "nixgen.lock")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    root, home = tmp_path / "demo", tmp_path / "home"
    root.mkdir()
    home.mkdir()
    text = '[project]\nname = "demo"\nversion = "1"\nrequires-python = ">=3.11"\n[tool.nixgen]\npython = "3.13"\n'
    (root / "pyproject.toml").write_text(text)
    (root / "uv.lock").write_text(
        'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n\n'
        '[[package]]\nname = "demo"\nversion = "1"\nsource = { virtual = "." }\n'
    )
    with serve() as hub:
        yield Project(root, hub, home)


def minilm(hub: Hub) -> Repo:
    return hub.repo("org/minilm", FILES, card={"license": "apache-2.0"})


def test_a_model_from_the_command_to_the_lock_and_an_upgrade(project: Project) -> None:
    repo = minilm(project.hub)
    old = repo.refs["main"]
    added = project.nixgen("model", "add", "minilm", "hf:org/minilm", "--revision", "main", "--exclude", "onnx/*")
    assert added[0] == 0
    code, printed = project.nixgen("lock")
    assert (code, printed.splitlines()[1]) == (
        0,
        f"Pinned models.minilm: hf:org/minilm main at {old[:12]}, 3 files, 4.0 KiB.",
    )
    (pin,) = project.lock.artifacts
    assert [file.path for file in pin.files] == ["README.md", "config.json", "model.safetensors"]
    asked = len(project.hub.asked)
    assert project.nixgen("lock") == (0, "nixgen.lock: nothing to do, every pin still fits.\n")
    assert project.nixgen("lock", "--offline")[0] == 0
    assert len(project.hub.asked) == asked
    (row,) = json.loads(project.nixgen("model", "list", "--json")[1])["models"]
    assert (row["commit"], row["licence"], row["formats"]) == (old, "apache-2.0", ["safetensors"])
    new = repo.commit({**FILES, "config.json": b"{}\n", "vocab.txt": b"a\n"})
    assert project.nixgen("lock", "--upgrade", "minilm") == (
        0,
        f"Pinned models.minilm: hf:org/minilm main at {new[:12]}, 4 files, 3.9 KiB.\n"
        f"  commit: {old[:12]} → {new[:12]}\n"
        "  config.json: changed, 23 B → 3 B\n"
        "  vocab.txt: new, 2 B\n"
        "wrote nixgen.lock\n"
        "then, to set the project up: nixgen init\n",
    )
    assert project.nixgen("lock", "--upgrade", "minilm")[1].splitlines()[0] == (
        f"models.minilm: main is still {new[:12]}."
    )


def test_another_choice_of_files_keeps_the_commit(project: Project) -> None:
    repo = minilm(project.hub)
    old = repo.refs["main"]
    project.nixgen("model", "add", "minilm", "hf:org/minilm")
    project.nixgen("lock")
    repo.commit({"config.json": b"{}\n"})
    toml = project.root / "models.toml"
    toml.write_text(toml.read_text() + 'include = ["*.onnx"]\n')
    code, printed = project.nixgen("generate")
    assert (code, printed) == (
        2,
        "error: models.toml: models.minilm.include: is *.onnx, and nixgen.lock was made for none\n"
        "  hint: nixgen sync\n",
    )
    assert project.nixgen("lock")[0] == 0
    (pin,) = project.lock.artifacts
    assert (pin.commit, pin.revision, [file.path for file in pin.files]) == (old, None, ["onnx/model.onnx"])


def test_a_revision_that_has_vanished_says_what_to_do(project: Project) -> None:
    repo = minilm(project.hub)
    repo.refs["v1"] = repo.refs["main"]
    project.nixgen("model", "add", "minilm", "hf:org/minilm", "--revision", "v1")
    project.nixgen("lock")
    before = (project.root / "nixgen.lock").read_text()
    del repo.refs["v1"]
    assert project.nixgen("lock")[0] == 0, "what is pinned stays pinned"
    code, printed = project.nixgen("lock", "--upgrade", "minilm")
    assert code == 2
    assert printed.startswith("error: models.toml: models.minilm")
    assert "v1" in printed
    assert "\n  hint: " in printed, "it says what to do"
    assert (project.root / "nixgen.lock").read_text() == before


def test_a_local_file_and_data_need_no_network(project: Project) -> None:
    pytest.importorskip("pyarrow")
    (project.root / "weights").mkdir()
    (project.root / "weights" / "vad.onnx").write_bytes(b"onnx")
    (project.root / "rows.csv").write_text("a,b\n1,2\n3,4\n")
    assert project.nixgen("model", "add", "vad", "weights/vad.onnx")[0] == 0
    assert project.nixgen("data", "add", "rows", "rows.csv", "--format", "csv")[0] == 0
    code, printed = project.nixgen("lock", "--offline")
    assert (code, printed.splitlines()[1:]) == (
        0,
        [
            "Pinned models.vad: weights/vad.onnx, 1 file, 4 B.",
            "Pinned data.rows: rows.csv, 1 file, 12 B.",
            "wrote nixgen.lock",
            "then, to set the project up: nixgen init",
        ],
    )
    vad, rows = project.lock.artifacts
    assert vad.files[0].local == "weights/vad.onnx"
    assert rows.data is not None
    assert rows.data.record_count == 2
    (project.root / "rows.csv").write_text("a,b\n1,2\n3,4\n5,6\n")
    assert project.nixgen("lock", "--offline")[1].splitlines()[:2] == [
        "Pinned data.rows: rows.csv, 1 file, 16 B.",
        "  rows.csv: changed, 12 B → 16 B",
    ]
    assert project.nixgen("lock") == (0, "nixgen.lock: nothing to do, every pin still fits.\n")
    assert project.nixgen("generate")[0] == 0
    (project.root / "weights" / "vad.onnx").write_bytes(b"ONNX")
    for command in (("generate",), ("generate", "--check"), ("verify", "vad"), ("verify",), ("check",)):
        code, printed = project.nixgen(*command)
        assert (code, printed) == (
            1 if command[0] == "verify" else 2,
            "error: models.vad: weights/vad.onnx: changed after it was pinned\n"
            "  hint: bring the pinned one back, or pin what is there: nixgen sync\n",
        )


def test_without_nix_fetch_says_what_is_missing(project: Project) -> None:
    minilm(project.hub)
    project.nixgen("model", "add", "minilm", "hf:org/minilm")
    project.nixgen("lock")
    assert project.nixgen("model", "fetch") == (
        3,
        f"error: nix-store: is not on this machine, and the files are to go into its store\n  hint: {install.hint()}\n",
    )
