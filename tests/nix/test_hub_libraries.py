"""The libraries that load models, from a built cache, in the sandbox: no network, no home, nothing of the host.

Each version in an environment of its own, from the package index.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pinned import COMMIT, Rows
from support.nix import SYSTEM
from support.project import Project

from nixgen.generate import planning, render
from nixgen.project.project import find_project

if TYPE_CHECKING:
    from lab import Lab

# No release after this day is looked at.
SETTINGS = f"""
[tool.uv]
exclude-newer = "2026-11-01T00:00:00Z"

[tool.nixgen]
base = "debian"
python = "3.13"
systems = ["{SYSTEM}"]
"""
HUBS = {"0.36": "huggingface-hub==0.36.*", "1": "huggingface-hub==1.*", "2": "huggingface-hub==2.*"}
DATASETS = {"4": "datasets==4.*", "5": "datasets==5.*"}
TRANSFORMERS = {"4": "transformers==4.57.*", "5": "transformers==5.*"}

WORDS = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "hello", "pinned", "world"]
TOKENIZER = {
    "version": "1.0",
    "added_tokens": [
        {"id": index, "content": word, "special": True, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False}
        for index, word in enumerate(WORDS[:4])
    ],
    "normalizer": {"type": "Lowercase"},
    "pre_tokenizer": {"type": "Whitespace"},
    "model": {"type": "WordLevel", "vocab": {word: index for index, word in enumerate(WORDS)}, "unk_token": "[UNK]"},
}  # fmt: skip
TOKENIZER_CONFIG = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]", "pad_token": "[PAD]"}
CODE = """
from transformers import PretrainedConfig

class TinyConfig(PretrainedConfig):
    model_type = "tiny-of-its-own"
    answer = 42
"""


def text(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.fixture
def rows(lab: Lab) -> Rows:
    """A tokenizer with a configuration, one model whose code comes with it, and a dataset, all in one cache."""
    rows = Rows(lab.index)
    minilm = {
        "config.json": text({"model_type": "bert", "hidden_size": 8, "num_attention_heads": 2}),
        "tokenizer.json": text(TOKENIZER),
        "tokenizer_config.json": text(TOKENIZER_CONFIG),
        "onnx/model.onnx": b"weights",
    }
    own = {
        "config.json": text(
            {"model_type": "tiny-of-its-own", "auto_map": {"AutoConfig": "configuration_tiny.TinyConfig"}}
        ),
        "configuration_tiny.py": CODE.encode(),
    }
    rows.add("models.minilm", minilm, repo="org/minilm", revision="main")
    rows.add("models.branch", minilm, repo="org/minilm", revision="refs/pr/7")
    rows.add("models.own", own, repo="org/own", revision="v1.0", commit="f" * 40)
    return rows.add("data.sales", {"data/a.csv": b"a\n1\n"}, repo="org/sales", repoType="dataset")


def with_packages(lab: Lab, pins: Path, folder: Path, requirement: str) -> Lab:
    """The laboratory with the wheels that uv chooses for a requirement."""
    project = Project.make(folder, requirement, more=SETTINGS)
    project.lock()
    shutil.copy(pins / "nixgen.lock", folder)
    for tarball in (pins / "nix/nixgen/bootstrap").iterdir():
        target = folder / "nix/nixgen/bootstrap" / tarball.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tarball, target)
    found = find_project(folder)
    plan = planning.plan(found, planning.read_pins(found))
    return lab.with_arguments(wheels=render.wheel_rows(replace(plan, trees=())))


def loaded(lab: Lab, code: str) -> Any:
    """What code gives as ``answer`` in the sandbox, with the variables that the shell sets."""
    environment, cache = lab.build("environment"), lab.build("cache")
    program = f"import json, os\n{code}\nprint('ANSWER', json.dumps(answer))"
    variables = " ".join(
        f"export {name}={value};"
        for name, value in {
            "HF_HUB_CACHE": "$2",
            "HUGGINGFACE_HUB_CACHE": "$2",
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "HF_HOME": "$TMPDIR/hf",
            "HF_MODULES_CACHE": "$TMPDIR/hf/modules",
        }.items()
    )
    command = f"set -- {environment} {cache} ; {variables} $1/bin/python - > $out <<'EOF'\n{program}\nEOF"
    said = lab.in_sandbox(command)
    return json.loads(next(line for line in said.splitlines() if line.startswith("ANSWER")).removeprefix("ANSWER "))


HUB_CODE = """
from pathlib import Path
import huggingface_hub
from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import LocalEntryNotFoundError

def missing(**asked):
    try:
        hf_hub_download(**asked)
    except LocalEntryNotFoundError:
        return True

def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())

def snapshot(*asked, **more):
    folder = snapshot_download(*asked, **more)
    return [Path(folder).name, files(folder)]

one = hf_hub_download("org/minilm", "onnx/model.onnx", local_files_only=True)
answer = {
    "version": huggingface_hub.__version__,
    "one": [Path(one).read_text(), hf_hub_download("org/minilm", "onnx/model.onnx") == one],
    "whole": snapshot("org/minilm", local_files_only=True),
    "offline": snapshot("org/minilm", revision="refs/pr/7"),
    "some": snapshot("org/minilm", revision="main", allow_patterns=["*.json"])[0],
    "tag": snapshot("org/own", revision="v1.0"),
    # Without local_files_only, 1.33 asks the hub for the list of a commit's files, although it is told to be offline.
    "commit": snapshot("org/own", revision="f" * 40, local_files_only=True)[0],
    "data": snapshot("org/sales", repo_type="dataset"),
    "found": Path(try_to_load_from_cache("org/minilm", "config.json")).is_file(),
    "unpinned": missing(repo_id="org/minilm", filename="other.bin"),
    "untagged": missing(repo_id="org/own", filename="config.json"),
    "repos": sorted(repo.repo_id for repo in scan_cache_dir().repos),
    "warnings": [str(warning) for warning in scan_cache_dir().warnings],
}
"""


@pytest.mark.parametrize("version", HUBS)
def test_huggingface_hub_finds_every_file(lab: Lab, pins: Path, rows: Rows, tmp_path: Path, version: str) -> None:
    lab = with_packages(rows.on(lab), pins, tmp_path / "demo", HUBS[version])
    found = loaded(lab, HUB_CODE)
    minilm = ["config.json", "onnx/model.onnx", "tokenizer.json", "tokenizer_config.json"]
    assert found.pop("version").startswith(f"{version}.")
    assert found == {
        "one": ["weights", True],
        "whole": [COMMIT, minilm],
        "offline": [COMMIT, minilm],
        "some": COMMIT,
        "tag": ["f" * 40, ["config.json", "configuration_tiny.py"]],
        "commit": "f" * 40,
        "data": [COMMIT, ["data/a.csv"]],
        "found": True,
        "unpinned": True,
        "untagged": True,
        "repos": ["org/minilm", "org/own", "org/sales"],
        "warnings": [],
    }


TRANSFORMERS_CODE = """
import transformers
from transformers import AutoConfig, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("org/minilm")
own = AutoConfig.from_pretrained("org/own", revision="v1.0", trust_remote_code=True)
answer = {
    "version": transformers.__version__,
    "tokens": tokenizer("Hello pinned world")["input_ids"],
    "revision": AutoTokenizer.from_pretrained("org/minilm", revision="refs/pr/7")("pinned")["input_ids"],
    "config": AutoConfig.from_pretrained("org/minilm").hidden_size,
    "own": own.answer,
    "modules": type(own).__module__.split(".")[0],
    "copied": sorted(os.listdir(os.environ["HF_MODULES_CACHE"])),
}
"""


@pytest.mark.parametrize("version", TRANSFORMERS)
def test_transformers_loads_with_from_pretrained(
    lab: Lab, pins: Path, rows: Rows, tmp_path: Path, version: str
) -> None:
    lab = with_packages(rows.on(lab), pins, tmp_path / "demo", TRANSFORMERS[version])
    found = loaded(lab, TRANSFORMERS_CODE)
    assert found.pop("version").startswith(f"{version}.")
    assert "transformers_modules" in found.pop("copied")
    assert found == {"tokens": [4, 5, 6], "revision": [5], "config": 8, "own": 42, "modules": "transformers_modules"}


DATASETS_CODE = """
import datasets
from datasets import load_dataset
from huggingface_hub import snapshot_download

def refused(*asked):
    try:
        load_dataset(*asked)
    except ConnectionError as error:
        return str(error)

folder = snapshot_download("org/sales", repo_type="dataset")
answer = {
    "version": datasets.__version__,
    "rows": load_dataset(folder)["train"].to_list(),
    "again": load_dataset(folder, split="train").num_rows,
    "stream": list(load_dataset(folder, split="train", streaming=True)),
    "name": refused("org/sales"),
}
"""


@pytest.mark.parametrize("version", DATASETS)
def test_datasets_loads_the_snapshot_and_not_the_name(
    lab: Lab, pins: Path, rows: Rows, tmp_path: Path, version: str
) -> None:
    """By its name it asks the hub first, whatever the cache holds: docs/data.md says what to write instead."""
    lab = with_packages(rows.on(lab), pins, tmp_path / "demo", DATASETS[version])
    found = loaded(lab, DATASETS_CODE)
    assert found.pop("version").startswith(f"{version}.")
    refused = found.pop("name")
    assert "org/sales" in refused
    assert "OfflineModeIsEnabled" in refused
    assert found == {"rows": [{"a": 1}], "again": 1, "stream": [{"a": 1}]}
