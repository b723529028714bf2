"""A recorded run on a real MLflow server, on local SQLite.

The server is large, so `make test-builds` alone runs this, in an environment of its own (.ci/requirements-mlflow.lock).
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.nix import ROOT
from support.tree import fill, lock
from support.waiting import until

from nixgen.runs import finding

pytestmark = [
    pytest.mark.network,
    pytest.mark.heavy,
    pytest.mark.skipif(not os.environ.get("NIXGEN_TEST_BUILDS"), reason="slow: make test-builds"),
]
LOCK = ROOT / ".ci/requirements-mlflow.lock"
TRAIN = """import json, os
os.makedirs("out", exist_ok=True)
open("out/w.bin", "wb").write(b"weights")
json.dump({"auc": 0.93, "folds": [0.5, float("nan")]}, open("m.json", "w"))
print("trained")
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the server and what nixgen requires."""
    place = tmp_path_factory.mktemp("mlflow") / "venv"
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, place], check=True)
    python = place / "bin/python"
    subprocess.run([*uv, "pip", "sync", "--quiet", "--require-hashes", "--python", python, LOCK], check=True)
    return python


@pytest.fixture(scope="module")
def server(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server."""
    place = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [str(python.with_name("mlflow")), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    words += ["--backend-store-uri", f"sqlite:///{place}/runs.db", "--artifacts-destination", str(place / "files")]
    env = {**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}", "MLFLOW_DISABLE_TELEMETRY": "true"}
    env["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # processes that nothing here needs
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(words, cwd=place, env=env, stdout=log, stderr=log, start_new_session=True)
        url = f"http://127.0.0.1:{port}"

        def healthy() -> bool:
            try:
                with urllib.request.urlopen(f"{url}/health", timeout=10) as answer:
                    return bool(answer.status == 200)
            except OSError:
                return False

        try:
            until(healthy, running=process)
            yield url
        finally:
            os.killpg(process.pid, 15)
            process.wait()


def asked(url: str, name: str, value: dict[str, Any] | None = None) -> Any:
    data = None if value is None else json.dumps(value).encode()
    request = urllib.request.Request(f"{url}/api/2.0/{name}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def test_a_recorded_run_is_on_the_server(python: Path, server: str, tmp_path: Path) -> None:
    root = tmp_path / "project"
    made = {"nixgen.lock": lock().encode(), "pyproject.toml": b'[project]\nname = "demo"\nversion = "1"\n'}
    fill(root, {**made, "c.yaml": b"rate: 0.1\n", "train.py": TRAIN.encode()})
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "NIXGEN_ROOT": str(root), "PYTHONPATH": str(ROOT)}
    env |= {"MLFLOW_TRACKING_URI": server, "NIXGEN_MODELS": str(tmp_path), "NIXGEN_DATA": str(tmp_path)}
    words = ["run", "--record", "--config", "c.yaml", "--seed", "7", "--metrics", "m.json", "--output", "out"]

    def nixgen(*words: str) -> subprocess.CompletedProcess[str]:
        given = [str(python), "-m", "nixgen", *words]
        done = subprocess.run(given, cwd=root, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done

    done = nixgen(*words, "--", sys.executable, "train.py")
    assert "logged as mlflow run" in done.stderr, done.stderr
    (run,) = finding.runs(root)
    assert run.tracker is not None
    assert (run.tracker.kind, run.tracker.uri) == ("mlflow", server)
    found = asked(server, f"mlflow/runs/get?run_id={run.tracker.run}")["run"]
    assert (found["info"]["run_name"], found["info"]["status"]) == (run.id, "FINISHED")
    assert {one["key"]: one["value"] for one in found["data"]["params"]} == {"rate": "0.1", "seed": "7"}
    metrics = {one["key"]: one["value"] for one in found["data"]["metrics"]}
    assert (metrics["auc"], str(metrics["folds.1"]).lower()) == (0.93, "nan")
    tags = {one["key"]: one["value"] for one in found["data"]["tags"]}
    assert tags["nixgen.run"] == run.id
    assert tags["nixgen.output.out/w.bin"] == run.outputs[0].sha256

    def paths(folder: str) -> list[str]:
        where = f"mlflow/artifacts/list?run_id={run.tracker.run if run.tracker else ''}&path={folder}"
        return sorted(one["path"] for one in asked(server, where).get("files", []))

    assert paths("") == ["config", "outputs", "run.yaml", "stderr", "stdout"]
    assert paths("outputs/out") == ["outputs/out/w.bin"]
    # Logged again it is the same run, and its record stays.
    record = (root / "runs" / run.id / "run.yaml").read_bytes()
    assert run.tracker.run in nixgen("runs", "log", "latest").stdout
    assert (root / "runs" / run.id / "run.yaml").read_bytes() == record
    # A server that is gone costs a warning.
    env["MLFLOW_TRACKING_URI"], env["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "http://127.0.0.1:9", "0"
    done = nixgen("run", "--record", "--", "true")
    assert "the run is recorded, and not logged in MLflow" in done.stderr
