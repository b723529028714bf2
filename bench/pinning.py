"""``nixgen lock`` of a model of 1,000 files, from a local double of the hub (tests/support/hub.py)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.evaluation import through, version
from bench.measure import Row, timed, within
from bench.project import CACHE, NIXGEN, ROOT, nix_versions, nixgen

FILES = 1000
SERVER = f"""
import sys
sys.path.insert(0, {str(ROOT / "tests")!r})
from support.hub import Big, Hub, serve
content = [b"%d" % n for n in range({FILES})]
hub = Hub()
hub.repo("demo/large", {{f"{{n // 100}}/{{n}}.bin": Big(c) for n, c in enumerate(content)}})
hub.repo("demo/small", {{f"{{n // 100}}/{{n}}.json": c for n, c in enumerate(content)}})
with serve(hub):
    print(hub.endpoint, flush=True)
    sys.stdin.read()
"""
KINDS = {"large": "the hub tells each hash", "small": "each is read and hashed"}


def pinning() -> list[Row]:
    """A repo of 1,000 files in LFS storage, and one of 1,000 that are only in git; into an empty Nix store's folder."""
    nix = nix_versions()[-1]
    with _hub() as url:
        commands, before = [], []
        for repo in KINDS:
            folder = CACHE / f"pinning-{repo}"
            _project(folder, repo)
            commands.append(["env", f"HF_ENDPOINT={url}", NIXGEN, "lock", "--quiet", "--project", str(folder)])
            before.append(["cp", str(folder / "without.lock"), str(folder / "nixgen.lock")])
        found = timed(commands, 5, before=before, warm=1, through=through(nix))
    return [
        within(f"`nixgen lock`, {FILES:,} files, {note}, Nix {version(nix)}", series, 2)
        for note, series in zip(KINDS.values(), found, strict=True)
    ]


def _project(folder: Path, repo: str) -> None:
    if not (folder / "without.lock").exists():
        folder.mkdir(parents=True, exist_ok=True)
        text = '[project]\nname = "pinning"\nversion = "1"\nrequires-python = ">=3.11"\n'
        (folder / "pyproject.toml").write_text(text)
        nixgen(folder, "init", "--base", "nixpkgs", "--quiet")
        (folder / "without.lock").write_bytes((folder / "nixgen.lock").read_bytes())
    (folder / "models.toml").write_text(f'version = 1\n\n[models.many]\nsource = "hf:demo/{repo}"\n')


@contextmanager
def _hub() -> Iterator[str]:
    """The double, in a process of its own; its address."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.stdin.close()
