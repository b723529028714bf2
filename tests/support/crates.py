"""The validator of RO-Crate, in an environment of its own (.ci/requirements-crate.lock), made once."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / ".ci/requirements-crate.lock"


def python() -> Path:
    """The interpreter that has roc-validator."""
    name = f"roc-validator-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    place = ROOT / ".cache" / name
    if not place.exists():
        place.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{name}.", dir=place.parent) as folder:
            made = Path(folder, "venv")
            _uv("venv", "--quiet", "--python", sys.executable, str(made))
            install = ("pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:")
            _uv(*install, "--python", str(made / "bin/python"), "-r", str(LOCK))
            try:
                made.rename(place)
            except OSError:  # another worker was first
                assert place.exists()
    return place / "bin/python"


def _uv(*words: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    done = subprocess.run(
        [sys.executable, "-m", "uv", *words], env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def issues(crate: Path) -> Any:
    """What the profile and RO-Crate itself find in a crate: {"required": […], "recommended": […], "read": […]}."""
    driver = Path(__file__).with_name("validatecrate.py")
    done = subprocess.run([python(), driver, crate], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
