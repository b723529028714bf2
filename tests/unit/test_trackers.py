"""Recorded runs in MLflow: what its client is given, and that the record does not hang on it.

A double stands for the client; tests/system/test_mlflow.py speaks with a real server.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import exported
import pytest
from support.tree import fill
from test_runs_record import Project

from nixgen.runs import outputs, recordfile
from nixgen.runs.model import Output
from nixgen.trackers import tracking

CLIENT = """import json, os, types
from pathlib import Path
LOG = Path(os.environ["SAID"])
FOUND = types.SimpleNamespace(info=types.SimpleNamespace(run_id="r1"))
def say(*what):
    with LOG.open("a") as file:
        file.write(json.dumps(what) + "\\n")
class MlflowClient:
    def get_experiment_by_name(self, name):
        if os.environ.get("FAILS") == "early":
            raise RuntimeError("no answer from " + os.environ["MLFLOW_TRACKING_URI"])
        say("experiment", name)
    def create_experiment(self, name): return "7"
    def search_runs(self, experiments, filter, max_results):
        known = [json.loads(line) for line in LOG.read_text().splitlines()] if LOG.exists() else []
        return [FOUND] if any(line[0] == "run" for line in known) else []
    def create_run(self, experiment, start_time, tags, run_name):
        say("run", experiment, start_time, tags, run_name)
        return FOUND
    def log_batch(self, run, **kinds):
        for kind, some in kinds.items():
            assert len(some) <= 100
            say(kind, {one[0]: one[1] for one in some})
    def set_tag(self, run, key, value): say("tag", key, value)
    def log_artifact(self, run, place, folder):
        if os.environ.get("FAILS") == "late":
            raise RuntimeError("the bucket is full")
        say("file", Path(place).name, folder)
    def set_terminated(self, run, status, end): say("end", status)
"""
ENTITIES = "Param = RunTag = lambda key, value: (key, value)\nMetric = lambda key, value, time, step: (key, value)\n"
WRITES = """import json, os
os.makedirs("out/a", exist_ok=True)
open("out/a/w.bin", "w").write("w")
json.dump({"test": {"auc": 0.5}, "n": float("nan")}, open("m.json", "w"))
"""
OPTIONS = ("--config", "c.yaml", "--seed", "7", "--metrics", "m.json", "--output", "out")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    fill(tmp_path / "site/mlflow", {"__init__.py": CLIENT.encode(), "entities.py": ENTITIES.encode()})
    fill(made.root, {"c.yaml": b"rate: 0.1\nmodel: {depth: 3, password: x}\nodd key!: 1\n"})
    here = Path(__file__).resolve().parents[2]
    made.env |= {
        "PYTHONPATH": f"{tmp_path / 'site'}:{here}",
        "SAID": str(tmp_path / "said"),
        "MLFLOW_TRACKING_URI": "https://ann:pw@mlflow.example.com/api",
    }
    return made


def said(project: Project) -> list[list[Any]]:
    place = Path(project.env["SAID"])
    return [json.loads(line) for line in place.read_text().splitlines()] if place.exists() else []


def test_a_recorded_run_is_logged(project: Project) -> None:
    project.commit()
    done = project.python(WRITES, *OPTIONS)
    assert done.returncode == 0, done.stderr
    assert b"logged as mlflow run r1 at https://mlflow.example.com/api\n" in done.stderr
    run = project.record
    assert run.tracker is not None
    assert (run.tracker.kind, run.tracker.uri, run.tracker.run) == ("mlflow", "https://mlflow.example.com/api", "r1")
    told = said(project)
    assert told[0] == ["experiment", "demo"]
    assert told[1] == ["run", "7", int(run.started.timestamp() * 1000), {"nixgen.run": run.id}, run.id]
    known = {kind: value for kind, value, *_ in told if isinstance(value, dict)}
    assert run.git is not None
    assert known["tags"]["mlflow.source.git.commit"] == run.git.commit
    assert known["tags"]["nixgen.output.out/a/w.bin"] == hashlib.sha256(b"w").hexdigest()
    assert known["tags"]["nixgen.config.c.yaml"] == run.config[0].sha256
    assert known["params"] == {"rate": "0.1", "model.depth": "3", "model.password": "***", "odd key_": "1", "seed": "7"}
    assert known["metrics"]["test.auc"] == 0.5
    assert known["metrics"]["n"] != known["metrics"]["n"]
    record = hashlib.sha256((project.folder / "run.yaml").read_bytes()).hexdigest()
    assert ["tag", "nixgen.record", record] in told
    assert [one[1:] for one in told if one[0] == "file"] == [
        *(["run.yaml", None], ["stdout", None], ["stderr", None], ["c.yaml", "config"], ["w.bin", "outputs/out/a"]),
    ]
    assert told[-1] == ["end", "FINISHED"]
    assert "pw@" not in (project.folder / "run.yaml").read_text()


@pytest.mark.parametrize(
    ("fails", "why"),
    [
        ("early", "no answer from https://mlflow.example.com/api"),
        ("late", "the bucket is full"),
        ("client", "MLflow's client is not installed"),
    ],
)
@pytest.mark.heavy
def test_a_tracker_that_fails_costs_one_warning(project: Project, fails: str, why: str) -> None:
    if fails == "client":
        (Path(project.env["PYTHONPATH"].partition(":")[0]) / "mlflow/__init__.py").write_text(
            "raise ImportError('none')"
        )
    project.env["FAILS"] = fails
    done = project.python("print('x'); raise SystemExit(3)")
    assert done.returncode == 3
    assert why.encode() in done.stderr
    assert done.stderr.count(b"not logged in MLflow") == 1
    assert f"log it later: nixgen runs log {project.folder.name}".encode() in done.stderr
    assert b"pw@" not in done.stderr
    assert b"Traceback" not in done.stderr
    run = project.record
    assert (run.status, run.exit, run.missing) == ("failed", 3, ())
    assert (run.tracker is None) == (fails != "late")
    again = project.runs("log", "latest")
    assert (again.returncode, why.encode() in again.stderr) == (3, True)


@pytest.mark.heavy
def test_a_run_is_logged_later_and_its_record_stays(project: Project) -> None:
    uri = project.env.pop("MLFLOW_TRACKING_URI")
    assert project.python(WRITES, *OPTIONS).returncode == 0
    assert said(project) == []
    record = (project.folder / "run.yaml").read_bytes()
    done = project.runs("log")
    assert (done.returncode, b"MLFLOW_TRACKING_URI: is not set" in done.stderr) == (2, True)
    project.env["MLFLOW_TRACKING_URI"] = uri
    (project.root / "out/a/w.bin").write_text("other")
    for _ in range(2):
        done = project.runs("log")
        assert done.returncode == 0, done.stderr
        assert b"not logged, because it is not any more what the run made: out/a/w.bin" in done.stderr
    assert (project.folder / "run.yaml").read_bytes() == record
    told = said(project)
    assert [one[0] for one in told].count("run") == 1  # the second time it was completed
    assert ["tag", "nixgen.record", hashlib.sha256(record).hexdigest()] in told
    (project.folder / "run.yaml").write_bytes(record.replace(b"status: finished", b"status: running"))
    assert b"did not end: it is running" in project.runs("log").stderr


def test_a_record_that_names_a_folder_of_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A teammate's: nothing is walked through, nor is it a traceback."""
    found = exported.project(tmp_path / "project", outputs=(Output("/", 1, "ab" * 32), Output("a\0", 1, "ab" * 32)))
    monkeypatch.setattr(outputs, "_below", None)
    files = tracking._asked(tmp_path / "project", found)["files"]
    assert [Path(place).name for place, _ in files] == ["run.yaml", "stdout", "stderr", "diff.patch", "a b.yaml"]


def test_a_client_that_ends_before_it_is_asked(project: Project) -> None:
    """What it is asked is more than a pipe holds."""
    site = Path(project.env["PYTHONPATH"].partition(":")[0])
    fill(site, {"sitecustomize.py": b"import os, sys\nif sys.orig_argv[1:2] == ['-P']: os._exit(9)\n"})
    (project.root / "c.yaml").write_text("".join(f"k{number}: {'v' * 5000}\n" for number in range(40)))
    done = project.python("print(1)", "--config", "c.yaml")
    assert (done.returncode, b"not logged in MLflow: its client ended with 9" in done.stderr) == (0, True), done.stderr


def test_what_a_link_leads_to_is_not_logged(project: Project, tmp_path: Path) -> None:
    uri = project.env.pop("MLFLOW_TRACKING_URI")
    assert project.python("print(1)", "--config", "c.yaml").returncode == 0
    (tmp_path / "secret").write_text("depth: hunter2\n")
    for name in ("stdout", "config/c.yaml"):
        (project.folder / name).unlink()
        (project.folder / name).symlink_to(tmp_path / "secret")
    project.env["MLFLOW_TRACKING_URI"] = uri
    assert project.runs("log").returncode == 0
    assert [one[1] for one in said(project) if one[0] == "file"] == ["run.yaml", "stderr"]
    assert "hunter2" not in str(said(project))


def test_a_reproduction_is_not_logged(project: Project) -> None:
    project.env["NIXGEN_REPRODUCING"] = "1"
    assert project.python("print(1)").returncode == 0
    assert said(project) == []
    assert recordfile.read(project.folder).tracker is None
