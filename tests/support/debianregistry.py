"""Debian's real registry of artifacts (docker-registry) on loopback, with skopeo; both are unpacked by apt-get."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.nix import current
from support.waiting import PATIENCE


def programs() -> Path:
    """The folder with skopeo and docker-registry; skips the test where no mirror has them."""
    try:
        return current("skopeo")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("skopeo and a registry of artifacts are unpacked with apt-get from a Debian mirror")


@contextmanager
def registry(folder: Path, **settings: Any) -> Iterator[str]:
    """The address of an empty registry that lies in a folder, on a port that it finds itself, while the block runs."""
    storage = {"filesystem": {"rootdirectory": f"{folder}/artifacts"}}
    whole = {"version": "0.1", "storage": storage, "http": {"addr": "127.0.0.1:0"}, **settings}
    (folder / "registry.yml").write_text(json.dumps(whole))
    log = folder / "registry.log"
    command: list[str | Path] = [programs() / "docker-registry", "serve", folder / "registry.yml"]
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        until = time.monotonic() + PATIENCE
        while not (found := re.search(r"listening on (127\.0\.0\.1:\d+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until
            time.sleep(0.05)
        try:
            yield found[1]
        finally:
            process.terminate()
