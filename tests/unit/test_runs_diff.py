"""What differs between two runs, and in which order it is told."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.tree import fill, lock, rows
from typer.testing import CliRunner

from nixgen.cli import app
from nixgen.data.model import DataManifest
from nixgen.lock.lockfile import parse_lock
from nixgen.runs import diff, recordfile
from nixgen.runs.model import Artifact, ConfigFile, Environment, Git, Machine, Output, ProjectFiles, Run, Seeds

RUN = Run(
    id="20261130-131500-3fa2c1",
    status="finished",
    command=("python", "train.py"),
    started=datetime(2026, 11, 30, tzinfo=UTC),
    exit=0,
    git=Git("a" * 40, "main"),
    environment=Environment(path="/nix/store/x", closure=f"sha256:{'1' * 64}", python="3.13.5"),
    machine=Machine("Linux", "6.1", "a processor", 2, 1 << 30),
    seeds=Seeds(7, {"PYTHONHASHSEED": "7"}),
    metrics={"auc": 0.9, "loss": 0.5},
    outputs=(Output("model", 4, "a" * 64),),
)
OTHER = "20261130-131600-4fa2c1"


def told(old: Run, new: Run, **known: Any) -> list[tuple[str, str, str, str]]:
    return [(one.kind, one.name, one.old, one.new) for one in diff.diff(old, new, **known).differences]


def test_equal_runs_differ_in_nothing_but_their_time() -> None:
    found = diff.diff(RUN, replace(RUN, id=OTHER, started=datetime(2027, 1, 1, tzinfo=UTC), seconds=3.0))
    assert (found.differences, found.unexplained) == ((), False)


def test_inputs_come_before_the_machine_and_what_came_out() -> None:
    manifest = DataManifest("sales", "data", 10, "5" * 64, "6" * 64, "2026-01-01T00:00:00Z")
    old = replace(RUN, data={"sales": Artifact("data", sha256="1" * 64, manifest=manifest)})
    more = replace(manifest, record_count=12)
    new = replace(
        RUN,
        outputs=(Output("model", 5, "b" * 64),),
        metrics={"auc": 0.8, "loss": 0.5},
        machine=replace(RUN.machine or Machine(), cores=1),
        seeds=Seeds(8, {"PYTHONHASHSEED": "8"}),
        git=Git("b" * 40, "main", dirty=True, diff="diff.patch", sha256="c" * 64),
        data={"sales": Artifact("data", sha256="2" * 64, manifest=more)},
        variables={"OMP_NUM_THREADS": "1"},
        models={"minilm": Artifact("hf:a/b", sha256="3" * 64)},
        environment=replace(RUN.environment or Environment(), closure=f"sha256:{'2' * 64}"),
    )
    known = {"old_known": diff.Known(packages={"numpy": "1.0"}), "new_known": diff.Known(packages={"numpy": "1.1"})}
    assert told(old, new, **known) == [
        ("code", "commit", "a" * 40, "b" * 40),
        ("code", "changes", "none", f"diff.patch {'c' * 12}"),
        ("data", "sales: content", "1" * 12, "2" * 12),
        ("data", "sales: rows", "10", "12"),
        ("models", "minilm", "—", f"hf:a/b {'3' * 12}"),
        ("environment", "numpy", "1.0", "1.1"),
        ("environment", "closure", f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"),
        ("seeds", "seed", "7", "8"),
        ("seeds", "PYTHONHASHSEED", "7", "8"),
        ("variables", "OMP_NUM_THREADS", "—", "1"),
        ("machine", "cores", "2", "1"),
        ("metrics", "auc", "0.9", "0.8"),
        ("outputs", "model", f"4 B {'a' * 12}", f"5 B {'b' * 12}"),
    ]
    assert not diff.diff(old, new).unexplained


def test_other_results_without_another_input_are_unexplained() -> None:
    new = replace(RUN, outputs=(), machine=Machine("Linux", "6.2", "another", 64))
    assert diff.diff(RUN, new).unexplained
    assert not diff.diff(RUN, replace(new, seeds=None)).unexplained
    assert not diff.diff(RUN, replace(RUN, machine=None)).unexplained


def test_the_metric_that_changed_the_most_comes_first_and_nan_is_never_the_same() -> None:
    old = replace(RUN, metrics={"a": 1.0, "b": 100.0, "gone": 1, "n": math.nan, "same": 0.5, "zero": 0})
    new = replace(RUN, metrics={"a": 2.0, "b": 101.0, "n": math.nan, "new": 2, "same": 0.5, "zero": 0.0})
    assert [one[1] for one in told(old, new)] == ["gone", "n", "new", "a", "b"]
    assert diff.change(math.nan, 1.0) is None
    assert diff.change(1.0, 1.5) == 0.5


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": {"b": [1, {"c": True}]}, "d": {}}, {"a.b.0": "1", "a.b.1.c": "true", "d": "{}"}),
        ([1.5, None], {"0": "1.5", "1": "None"}),
        ("text", {"": "text"}),
    ],
)
def test_a_configuration_is_told_by_dotted_names(value: Any, expected: dict[str, str]) -> None:
    assert dict(diff.flat(value)) == expected


def test_a_configuration_that_holds_itself_ends() -> None:
    value: dict[str, Any] = {"a": 1}
    value["self"] = value
    assert dict(diff.flat(value))["a"] == "1"


def test_masked_keys_are_named_where_nothing_else_differs() -> None:
    old, new = (replace(RUN, config=(ConfigFile("c.yaml", sha * 64, "config/c.yaml", ("password",)),)) for sha in "12")
    known = diff.Known({"c.yaml": {"password": "***"}})
    assert told(old, new, old_known=known, new_known=known) == [
        ("config", "c.yaml (masked: password)", "1" * 12, "2" * 12)
    ]


def git(root: Path, *words: str) -> str:
    given = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    return subprocess.run(["git", *given, *words], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def sales(content: bytes) -> dict[str, Any]:
    return {"files": [{**rows({"s.csv": content})[0], "local": "s.csv"}], "source": "s.csv", "scheme": "file"}


def test_packages_data_and_configuration_are_compared_from_git_and_the_copies(tmp_path: Path) -> None:
    """The walk of docs/runs.md: a snapshot drifted, and the run after it shows where."""
    git(tmp_path, "init", "-q")
    made: list[Run] = []
    for number, (content, version) in enumerate(((b"x\n1\n2\n", "1.0"), (b"x\n1\n9\n9\n", "1.1"))):
        uv_lock = f'version = 1\n[[package]]\nname = "numpy"\nversion = "{version}"\n'.encode()
        pinned = lock(data__sales={**sales(content), "format": "csv"}).encode()
        fill(tmp_path, {"s.csv": content, "uv.lock": uv_lock, "nixgen.lock": pinned, "pyproject.toml": PYPROJECT})
        git(tmp_path, "add", "--all")
        git(tmp_path, "commit", "-q", "-m", "all")
        hashes = {
            name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("uv.lock", "nixgen.lock")
        }
        config = f"rate: 0.{number}\nname: x\n".encode()
        run = replace(
            RUN,
            id=[RUN.id, OTHER][number],
            git=Git(git(tmp_path, "rev-parse", "HEAD"), "main"),
            project=ProjectFiles("demo", ".", hashes),
            data={"sales": Artifact("s.csv", sha256=parse_lock(pinned.decode()).artifacts[0].digest)},
            config=(ConfigFile("c.yaml", hashlib.sha256(config).hexdigest(), "config/c.yaml"),),
            metrics={"auc": [0.9, 0.7][number]},
        )
        fill(tmp_path / "runs" / run.id, {"run.yaml": recordfile.dump(run), "config/c.yaml": config})
        made.append(run)
    words = ["runs", "diff", made[0].id, "latest", "--project", str(tmp_path)]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [(one["kind"], one["name"]) for one in found["differences"]] == [
        *(("code", "commit"), ("data", "sales: content"), ("config", "c.yaml: rate")),
        *(("environment", "numpy"), ("metrics", "auc")),
    ]
    assert found["differences"][-1]["difference"] == pytest.approx(-0.2)
    text = CliRunner().invoke(app, words).stdout
    assert "config       c.yaml: rate    0.0" in text
    assert "data sales\n" in text
    assert (
        CliRunner()
        .invoke(app, ["runs", "diff", "latest", "--project", str(tmp_path)])
        .stdout.endswith("nothing differs\n")
    )
    (tmp_path / "runs" / OTHER / "run.yaml").write_bytes(recordfile.dump(replace(made[0], id=OTHER, outputs=())))
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (1, "results differ, and no recorded input does")


PYPROJECT = b'[project]\nname = "demo"\nversion = "1"\nrequires-python = ">=3.11"\n'
