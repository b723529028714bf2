"""run.yaml: every part there and back, and what is wrong with one."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from nixgen.data.model import DataManifest
from nixgen.errors import MachineError, UserError
from nixgen.runs import recordfile
from nixgen.runs.model import (
    Artifact,
    Asked,
    ConfigFile,
    Environment,
    Git,
    Gpu,
    Machine,
    Output,
    ProjectFiles,
    Run,
    Seeds,
    Tracker,
)

SHA = "ab" * 32
STARTED = datetime(2026, 11, 30, 13, 15, 0, 123456, tzinfo=UTC)
SMALL = Run("20261130-131500-3fa2c1", "running", ("true",), STARTED)
WHOLE = Run(
    id="20261130-131500-3fa2c1",
    status="finished",
    command=("python", "train.py", "--name", "ein Name", "\u00e9", "yes", "7", "", "a\nb", "0x10"),
    started=STARTED,
    folder="sub folder",
    ended=STARTED.replace(minute=16),
    seconds=60.000001,
    exit=0,
    git=Git("1" * 40, "main", "https://git.example.org/a.git", dirty=True, diff="diff.patch", sha256=SHA),
    project=ProjectFiles("demo", "packages/demo", {"uv.lock": SHA, "nixgen.lock": SHA}),
    environment=Environment(
        "gpu",
        "x86_64-linux",
        "debian bookworm",
        "/nix/store/" + "a" * 32 + "-demo-environment",
        "sha256-" + "A" * 43 + "=",
        f"sha256:{SHA}",
        f"sha256:{SHA}",
        "3.13.5",
    ),
    machine=Machine("Debian 12", "Linux 6.1", "a CPU", 2, 8 << 30, (Gpu("NVIDIA H200", "570.1"), Gpu("other"))),
    models={"minilm": Artifact("hf:a/b", "2" * 40, SHA)},
    data={"d": Artifact("file:d.csv", "", SHA, DataManifest("d", "file:d.csv", 3, SHA, SHA, "2026-11-30T13:15:00Z"))},
    config=(ConfigFile("conf/a b.yaml", SHA, "config/conf/a b.yaml", ("db.password",)), ConfigFile("x", SHA)),
    asked=Asked("m.json", ("model",)),
    seeds=Seeds(
        0, {"PYTHONHASHSEED": "0", "NIXGEN_SEED": "0"}, {"numpy": "0"}, deterministic=True, nondeterministic=("a",)
    ),
    variables={"OMP_NUM_THREADS": "2"},
    metrics={"auc": 0.93, "loss": math.inf, "rows": 7, "tiny": 1e-300, "below": -0.5},
    outputs=(Output("out/model.bin", 5, SHA), Output("out/n\u00e4me", 0, SHA)),
    tracker=Tracker("mlflow", "http://localhost:5000", "abc"),
    missing=("stdout: the disk is full",),
    nixgen="0.1.0",
)


@pytest.mark.parametrize("run", [SMALL, WHOLE, replace(WHOLE, git=Git(), project=None, exit=130, status="interrupted")])
def test_there_and_back(run: Run, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_bytes(recordfile.dump(run))
    assert recordfile.read(tmp_path) == run


def test_keys_are_in_the_order_of_the_page_and_absent_where_there_is_nothing() -> None:
    assert list(yaml.safe_load(recordfile.dump(SMALL))) == ["version", "id", "status", "command", "folder", "started"]
    assert list(yaml.safe_load(recordfile.dump(WHOLE))) == ["version", *recordfile._KEYS]
    assert b"exit: 0\n" in recordfile.dump(WHOLE)
    assert b"seed: 0\n" in recordfile.dump(WHOLE)


def test_a_metric_that_is_no_number_stays_one() -> None:
    text = recordfile.dump(replace(SMALL, metrics={"a": math.nan, "b": -math.inf})).decode()
    assert text.endswith("metrics:\n  a: .nan\n  b: -.inf\n")
    found = recordfile.parse(text).metrics
    assert math.isnan(found["a"])
    assert found["b"] == -math.inf


def test_a_name_that_is_not_utf8_is_shown() -> None:
    run = recordfile.parse(recordfile.dump(replace(SMALL, command=("a\udcff",))).decode())
    assert run.command == ("a\\udcff",)


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1),
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.floats(allow_nan=False)),
)
def test_any_text_and_number_comes_back(command: list[str], metrics: dict[str, float]) -> None:
    run = replace(SMALL, command=tuple(command), metrics=metrics)
    assert recordfile.parse(recordfile.dump(run).decode()) == run


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "status: running",
            "status: done",
            'run.yaml: status: is "done", not one of running, finished, failed, interrupted',
        ),
        ("status: running", "state: running", 'run.yaml: state: is not a known key; did you mean "started"?'),
        ("- 'true'", "- true", "run.yaml: command[0]: is true or false, not a text"),
        (
            "started: '2026-11",
            "started: '2026-99",
            'run.yaml: started: is "2026-99-30T13:15:00.123456Z", which is no time',
        ),
        ("id: 2026", "id: ../2026", "run.yaml: id: has an impossible value: '../20261130-131500-3fa2c1'"),
        ("folder: .", "folder: .\nfolder: .", 'run.yaml: is not YAML: line 7: the key "folder" is there twice'),
        ("folder: .", "folder: [", "run.yaml: is not YAML: line 8: "),
        ("folder: .", "metrics: {a: yes}", "run.yaml: metrics.a: is true or false, not a number"),
        ("folder: .", "exit: -1", "run.yaml: exit: is -1, below zero"),
        (
            "folder: .",
            "config: [{path: a, sha256: &h " + "a" * 64 + ", copy: config/../../x}]",
            "config[0].copy: has an",
        ),
        ("folder: .", "config: [{path: a, sha256: &h " + "a" * 64 + ", copy: /etc/x}]", "config[0].copy: has an"),
        ("folder: .", "git: {dirty: true, diff: ../../x}", "git.diff: has an impossible value: '../../x'"),
        ("folder: .", 'folder: "a\\0"', "run.yaml: folder: has an impossible value"),
        ("folder: .", 'outputs: [{path: "a\\0", size: 1, sha256: ' + "a" * 64 + "}]", "outputs[0].path: has an"),
        ("command:\n- 'true'", "command: []", "run.yaml: command: has no words"),
        ("folder: .", f"metrics: {{a: {2**1024 - 1}}}", "a number is too large"),
        ("version: 1", "version: one", "run.yaml: version: is a text, not a number"),
        ("version: 1", "version: 0", "run.yaml: version: is 0, and this nixgen knows 1"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(old: str, new: str, sentence: str) -> None:
    text = recordfile.dump(SMALL).decode()
    assert old in text
    with pytest.raises(UserError) as told:
        recordfile.parse(text.replace(old, new))
    assert sentence in str(told.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "[]",
        "a: &a [*a]",
        "!!python/object:os.system {}",
        "a: 2026-99-99",
        "? [a]\n: b",
        "yes: 1",
        "1: 2",
        f"version: 0x{'f' * 9999}",
    ],
)
def test_what_is_no_record_is_a_sentence(text: str) -> None:
    with pytest.raises(UserError):
        recordfile.parse(text)


def test_a_newer_version_is_refused() -> None:
    with pytest.raises(MachineError, match="version: is 2: a newer nixgen wrote it, and this one knows 1"):
        recordfile.parse("version: 2\nnew: thing\n")


def test_a_folder_without_a_record(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"run\.yaml: is not there: the folder holds no run"):
        recordfile.read(tmp_path)
    (tmp_path / "run.yaml").mkdir()
    with pytest.raises(MachineError, match="cannot be read"):
        recordfile.read(tmp_path)
