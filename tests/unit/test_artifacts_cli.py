"""``nixgen model`` and ``nixgen data`` as a user types them, or against made-up pins."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.program import nixgen
from test_artifacts_pins import BASE, MINILM, SALES, SHA

from nixgen.artifacts import sources, store
from nixgen.artifacts.model import ArtifactSpec, PinnedArtifact, PinnedFile
from nixgen.artifacts.sources.context import Context
from nixgen.cli import model
from nixgen.errors import MachineError, UserError
from nixgen.lock.lockfile import dump_lock
from nixgen.lock.model import Lock
from nixgen.models import commands, listing, signing
from nixgen.models.listing import Row, format_of, pickles, preferred

TOML = """\
# ours
version = 1

[models.minilm] # small
source = "hf:org/minilm"
revision = "main"
include = ["*.json"]
exclude = ["onnx/*"]
layout = ["hf", "plain"]

[models.new]
source = "weights/new.onnx"

[data.sales]
source = "s3://bucket/sales/"
format = "parquet"
endpoint = "https://s3.example.org"
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A locked project with a model that is pinned, one that is not, and data."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "demo"\nversion = "1"\nrequires-python = ">=3.11"\n')
    (tmp_path / "uv.lock").write_text(
        'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n\n'
        '[[package]]\nname = "demo"\nversion = "1"\nsource = { virtual = "." }\n'
    )
    (tmp_path / "models.toml").write_text(TOML)
    (tmp_path / "nixgen.lock").write_text(dump_lock(Lock(BASE, (), (MINILM, SALES))))
    return tmp_path


@pytest.mark.parametrize("command", ["model", "data"])
@pytest.mark.parametrize("verb", ["add", "remove", "list", "fetch"])
def test_every_verb_explains_itself_with_an_example_and_exit_codes(command: str, verb: str) -> None:
    done = nixgen(command, verb, "--help")
    text = " ".join(done.stdout.split())
    assert done.returncode == 0
    assert f"Example: nixgen {command} {verb}" in text
    assert "Exit codes: 0 done, 1 a finding, 2 a mistake in the input, 3 the machine lacks something." in text
    assert all(option in text for option in ("--quiet", "--verbose", "--help", "--project DIR"))


def test_add_writes_an_entry_and_says_what_comes_next(root: Path) -> None:
    options = ["--include", "*.json", "--include", "a/", "--layout", "hf", "--repo", "o/n", "--revision", "v1"]
    done = nixgen("model", "add", "vad", "weights/", *options, cwd=root)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "Added models.vad to models.toml. To pin it: nixgen sync\n"
    assert (root / "models.toml").read_text() == TOML + (
        '\n[models.vad]\nsource = "weights/"\nrevision = "v1"\ninclude = ["*.json", "a/"]\nlayout = "hf"\n'
        'repo = "o/n"\n'
    )


def test_add_makes_the_file_and_knows_every_key(root: Path) -> None:
    (root / "models.toml").unlink()
    options = ["--sha256", SHA, "--member", "a/b.csv", "--layout", "plain", "--format", "csv"]
    done = nixgen(
        "data", "add", "rows", "s3://bucket/a.zip", *options, "--endpoint", "https://s3.example.org", cwd=root
    )
    assert done.returncode == 0
    assert (root / "models.toml").read_text() == (
        "#:schema ./.models.schema.json\n"
        'version = 1\n\n[data.rows]\nsource = "s3://bucket/a.zip"\nlayout = "plain"\nmember = "a/b.csv"\n'
        f'sha256 = "{SHA}"\nendpoint = "https://s3.example.org"\nformat = "csv"\n'
    )


def test_add_knows_registries(root: Path) -> None:
    (root / "models.toml").unlink()
    words = ("data", "add", "rows", "registry:fraud@prod", "--registry", "s3://models", "--format", "csv")
    assert nixgen(*words, cwd=root).returncode == 0
    assert (root / "models.toml").read_text() == (
        "#:schema ./.models.schema.json\n"
        'version = 1\n\n[data.rows]\nsource = "registry:fraud@prod"\nregistry = "s3://models"\nformat = "csv"\n'
    )


def test_add_refuses_and_leaves_the_file_alone(root: Path) -> None:
    done = nixgen("model", "add", "fraud", "registry:fraud-detector@Prod", cwd=root)
    assert done.returncode == 2
    assert done.stderr == (
        "error: models.toml: models.fraud.source: is no model of a registry: Prod cannot be the name of an alias: "
        "it is not one\n  hint: write registry:NAME@ALIAS or registry:NAME@1.2.0; of another project, "
        "registry:PROJECT/NAME@ALIAS\n"
    )
    assert (root / "models.toml").read_text() == TOML


def test_remove_takes_all_or_none(root: Path) -> None:
    done = nixgen("model", "remove", "new", "minlm", cwd=root)
    assert done.returncode == 2
    assert done.stderr == "error: models.toml: models.minlm: is not there\n  hint: did you mean minilm?\n"
    assert (root / "models.toml").read_text() == TOML
    done = nixgen("model", "remove", "new", "minilm", cwd=root)
    assert done.stderr == (
        "Removed models.new, models.minilm from models.toml. To bring the rest in step: nixgen sync\n"
    )
    assert (root / "models.toml").read_text() == "# ours\nversion = 1\n\n" + TOML[TOML.index("[data") :]


def test_list_is_a_table(root: Path) -> None:
    done = nixgen("model", "list", cwd=root)
    assert done.stdout == (
        "name    source            commit        files   size  licence             formats\n"
        "minilm  hf:org/minilm     c9745ed1d9f2      2  190 B  apache-2.0 (gated)\n"
        "new     weights/new.onnx  not pinned\n"
        "\n"
        "Not pinned: new. To pin: nixgen sync\n"
    )
    assert (done.returncode, done.stderr) == (0, "")
    done = nixgen("data", "list", cwd=root)
    assert done.stdout == (
        "name   source              commit  files  size  licence  formats  records\n"
        "sales  s3://bucket/sales/              1   9 B           parquet        3\n"
    )


def test_list_as_json(root: Path) -> None:
    found = json.loads(nixgen("data", "list", "--json", cwd=root).stdout)
    assert found == {
        "data": [
            {
                "name": "sales",
                "source": "s3://bucket/sales/",
                "revision": None,
                "pinned": True,
                "commit": None,
                "version": None,
                "repo": None,
                "size": 9,
                "files": [{"path": "a.parquet", "size": 9, "sha256": SHA}],
                "layout": ["plain"],
                "licence": None,
                "gated": False,
                "formats": ["parquet"],
                "pickles": [],
                "prefer": None,
                "manifest": {
                    "dataset_name": "sales",
                    "storage_uri": "s3://bucket/sales/",
                    "record_count": 3,
                    "schema_hash": SHA,
                    "content_hash": SHA,
                    "created_at": "2024-07-31T12:00:00Z",
                },
            }
        ]
    }
    models = json.loads(nixgen("model", "list", "--json", cwd=root).stdout)["models"]
    assert models[1] == {"name": "new", "source": "weights/new.onnx", "revision": None, "pinned": False}


def test_a_pin_for_something_else_counts_as_none(root: Path) -> None:
    (root / "models.toml").write_text(TOML.replace('"main"', '"v2"'))
    assert "minilm  hf:org/minilm     not pinned" in nixgen("model", "list", cwd=root).stdout


def test_list_without_entries(root: Path) -> None:
    (root / "models.toml").write_text("version = 1\n")
    (root / "nixgen.lock").unlink()
    assert nixgen("model", "list", cwd=root).stdout == "models.toml names no models.\n"
    assert nixgen("data", "list", "--json", cwd=root).stdout == '{\n  "data": []\n}\n'


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("model.safetensors", "safetensors"),
        ("onnx/model_O4.onnx", "onnx"),
        ("tiny.Q4_K_M.gguf", "gguf"),
        ("pytorch_model.bin", "pickle"),
        ("pytorch_model-00001-of-00002.bin", "pickle"),
        ("unet/diffusion_pytorch_model.fp16.bin", "pickle"),
        ("training_args.bin", "pickle"),
        ("openvino_model.bin", None),
        ("Model.PT", "pickle"),
        ("classifier.pkl", "pickle"),
        ("pipeline.joblib", "pickle"),
        ("tf_model.h5", "keras"),
        ("part-0.csv.gz", "csv"),
        ("config.json", None),
        ("LICENSE", None),
        ("onnx", None),
    ],
)
def test_formats_by_name(path: str, found: str | None) -> None:
    assert format_of(path) == found


def pinned(*paths: str, include: tuple[str, ...] = ()) -> PinnedArtifact:
    files = tuple(PinnedFile(path, 1, SHA) for path in paths)
    return replace(MINILM, files=files, include=include, gated=False)


def test_pickles_are_marked_with_what_to_prefer() -> None:
    both = pinned("model.safetensors", "pytorch_model.bin")
    many = pinned("a.onnx", "a.pt", "b.pt", "c.pt")
    alone = pinned("model.pkl")
    assert (preferred(pinned("model.safetensors")), pickles(many)) == (None, ("a.pt", "b.pt", "c.pt"))
    assert preferred(both) == 'the same weights are there as safetensors: exclude = ["pytorch_model.bin"]'
    assert preferred(many) == 'the same weights are there as onnx: exclude = ["*.pt"]'
    assert preferred(alone) == (
        "prefer safetensors or ONNX: look for a revision that has them, or convert it once and pin the result"
    )
    assert preferred(pinned("pytorch_model.bin", include=("*.bin",))) == (
        "prefer safetensors or ONNX, if the repo has them: change include"
    )
    rows = [Row(ArtifactSpec("models", name, "hf:org/minilm"), pin) for name, pin in (("a", both), ("b", many))]
    assert listing.as_text("models", rows).splitlines() == [
        "name  source         commit        files  size  licence     formats",
        "a     hf:org/minilm  c9745ed1d9f2      2   2 B  apache-2.0  pickle!, safetensors",
        "b     hf:org/minilm  c9745ed1d9f2      4   4 B  apache-2.0  onnx, pickle!",
        "",
        "! a: pytorch_model.bin is a pickle, and loading a pickle runs the code in it;",
        '  the same weights are there as safetensors: exclude = ["pytorch_model.bin"]',
        "",
        "! b: a.pt and 2 more are pickles, and loading a pickle runs the code in it;",
        '  the same weights are there as onnx: exclude = ["*.pt"]',
    ]


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Context]]:
    """What is fetched, into a store that is always there."""
    calls: list[tuple[str, Context]] = []

    def fetch(pin: PinnedArtifact, context: Context) -> dict[str, Path]:
        calls.append((pin.key, context))
        return {}

    monkeypatch.setattr(sources, "fetch", fetch)
    monkeypatch.setattr(store.Store, "here", classmethod(lambda cls: cls()))
    return calls


def test_fetch_puts_the_named_or_all_into_the_store(
    root: Path, fetched: list[tuple[str, Context]], capsys: pytest.CaptureFixture[str]
) -> None:
    commands.fetch(root, "models", ["minilm"])
    commands.fetch(root, "data", [])
    assert [key for key, _ in fetched] == ["models.minilm", "data.sales"]
    assert [context.command for _, context in fetched] == ["nixgen model fetch", "nixgen data fetch"]
    assert all(context.root == root and context.holder == store.Store() for _, context in fetched)
    assert capsys.readouterr().err == (
        "models.minilm: 2 files, 190 B, in the Nix store.\ndata.sales: 1 file, 9 B, in the Nix store.\n"
    )


def test_fetch_refuses_what_is_not_pinned_and_what_is_not_there(root: Path, fetched: list[tuple[str, Context]]) -> None:
    with pytest.raises(
        UserError, match=r"^models.toml: models.new: is not pinned in nixgen.lock\n  hint: nixgen sync$"
    ):
        commands.fetch(root, "models", [])
    with pytest.raises(UserError, match=r"^models.toml: models.minlm: is not there\n  hint: did you mean minilm\?$"):
        commands.fetch(root, "models", ["minlm"])
    (root / "models.toml").write_text(TOML.replace('"main"', '"v2"'))
    with pytest.raises(
        UserError, match=r"^models.toml: models.minilm.revision: is v2, and nixgen.lock was made for main"
    ):
        commands.fetch(root, "models", ["minilm"])
    assert fetched == []


def test_fetch_needs_a_store(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.Store, "here", classmethod(lambda _cls: None))
    with pytest.raises(MachineError, match="nix-store: is not on this machine, and the files are to go into its store"):
        commands.fetch(root, "models", ["minilm"])


def test_fetch_of_nothing_says_so(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "models.toml").write_text("version = 1\n")
    commands.fetch(root, "data", [])
    assert capsys.readouterr().err == "models.toml names no data: there is nothing to fetch.\n"


def test_data_diff_compares_folders_and_exits_with_1_when_they_differ(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    for name, text in (("old", "a,b\n1,2\n"), ("new", "a,b\n1,2\n3,4\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rows.csv").write_text(text)
    done = nixgen("data", "diff", "old", "new", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert "rows.csv" in done.stdout
    assert json.loads(nixgen("data", "diff", "old", "new", "--json", cwd=tmp_path).stdout)
    assert "| " in nixgen("data", "diff", "old", "new", "--markdown", cwd=tmp_path).stdout
    same = nixgen("data", "diff", "old", "old", cwd=tmp_path)
    assert (same.returncode, same.stderr) == (0, "")


def test_data_diff_of_what_is_not_there_is_a_sentence(root: Path) -> None:
    done = nixgen("data", "diff", "sale", "sales", cwd=root)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "error: sale: is neither a path nor a dataset of nixgen.lock\n  hint: did you mean sales?"
    )


def test_sign_verifies_and_writes_a_bundle(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    signed: list[tuple[Any, ...]] = []

    def sign(trees: Any, bundle: Path, key: Path | None, *, password: str | None) -> None:
        signed.append(([tree.name for tree in trees], bundle, key, password))

    monkeypatch.setattr(signing, "sign", sign)
    monkeypatch.setenv("NIXGEN_KEY_PASSWORD", "secret")
    monkeypatch.chdir(root)
    model.sign("models.minilm", path=root)
    model.sign("minilm", Path("a.sig"), Path("key.pem"), root)
    assert signed == [
        (["models.minilm"], Path("minilm.sig"), None, "secret"),
        (["models.minilm"], Path("a.sig"), Path("key.pem"), "secret"),
    ]
    assert capsys.readouterr().err == "Signed models.minilm: wrote minilm.sig\nSigned models.minilm: wrote a.sig\n"
    with pytest.raises(UserError, match="minlm"):
        model.sign("minlm", path=root)


def test_lock_takes_names_to_upgrade(root: Path) -> None:
    done = nixgen("lock", "vad", cwd=root)
    assert done.returncode == 2
    assert done.stderr == (
        "error: nixgen lock: takes names of models and data only to upgrade them\n  hint: nixgen lock --upgrade vad\n"
    )
