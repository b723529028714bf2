"""A project with one recorded run, whose files are all there: to be exported."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from test_artifacts_pins import BASE
from test_runs_recordfile import WHOLE

from nixgen.lock.lockfile import dump_lock
from nixgen.lock.model import Lock
from nixgen.runs import recordfile
from nixgen.runs.finding import Found
from nixgen.runs.model import Output, Run

FILES = {"model/weights.npz": b"weights", "ein Bild \u00e9#%1.png": b"picture", "a:b": b"", "run.yaml": b"name: a\n"}
"""What the run made: names that an address has to escape, and the one of its own record."""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def project(root: Path, files: Mapping[str, bytes] | None = None, **changes: Any) -> Found:
    """The run, below ``root``; ``changes`` are those of its record."""
    outputs = []
    for name, data in (FILES if files is None else files).items():
        place = root / WHOLE.folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        outputs.append(Output(name, len(data), sha256(data)))
    assert WHOLE.git is not None
    git = replace(WHOLE.git, sha256=sha256(b"+more\n"))
    run: Run = replace(WHOLE, **{"outputs": tuple(outputs), "git": git, **changes})
    folder = root / "runs" / run.id
    beside = {"run.yaml": recordfile.dump(run), "stdout": b"hello\n", "stderr": b"", "diff.patch": b"+more\n"}
    for name, data in {**beside, "config/conf/a b.yaml": b"password: '***'\n"}.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    (root / "nixgen.lock").write_text(dump_lock(Lock(BASE)))
    return Found(folder, run)


def keys(folder: Path, name: str, curve: str = "prime256v1") -> tuple[Path, Path]:
    """A private and a public key, made by openssl."""
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    command = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}"]
    subprocess.run([*command, "-out", private], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return private, public
