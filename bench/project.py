"""The projects and stores that are measured: prepared once in .cache/bench, brought up to date on each run."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from support.nix import SHELL, SYSTEM, Nix, current_nix, machine_nix, nix_version, stores_can_be_entered

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "bench"

NIXGEN = str(Path(sys.executable).with_name("nixgen"))
UV = str(Path(sys.executable).with_name("uv"))


def nixgen(folder: Path, *argv: str) -> None:
    """Runs a nixgen command in a project."""
    subprocess.run([NIXGEN, *argv], cwd=folder, check=True, stdin=subprocess.DEVNULL)


@cache
def notebook(base: str) -> Path:
    """A copy of examples/notebook with ``nixgen init --base BASE`` done."""
    folder = CACHE / f"notebook-{base}"
    fresh = not (folder / "default.nix").exists()
    shutil.copytree(ROOT / "examples" / "notebook", folder, dirs_exist_ok=True) if fresh else None
    if fresh:
        subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
        nixgen(folder, "init", "--base", base, *(["--python", "3.11"] if base == "debian" else []))
    nixgen(folder, "generate")
    return folder


@cache
def nix_versions() -> tuple[Nix, ...]:
    """The machine's Nix and a current one, each with a store of its own."""
    if reason := stores_can_be_entered():
        sys.exit(f"error: {reason}")
    found = [f for f in (machine_nix(), current_nix() if shutil.which("apt-get") else None) if f]
    return tuple(_nix(folder) for folder in found)


def with_a_shell() -> tuple[Nix, ...]:
    """Both as they are installed: with a /bin/sh in the sandbox, which onnxruntime does not start without."""
    return tuple(nix.with_settings(sandbox_paths=SHELL) for nix in nix_versions())


def _nix(folder: Path) -> Nix:
    store = CACHE / "stores" / ".".join(map(str, nix_version(folder)))
    store.mkdir(parents=True, exist_ok=True)
    return Nix(folder, store).with_settings(max_jobs="auto")


def let_go(nix: Nix) -> None:
    """What the project's .venv keeps from garbage collection in this store can be deleted then."""
    for root in (nix.store / "nix/var/nix/gcroots/auto").glob("*"):
        root.unlink()


def chosen() -> list[dict[str, object]]:
    """The wheels of the notebook for this machine, as ``nixgen show --json`` tells them."""
    shown = subprocess.run(
        [NIXGEN, "show", "--json", "--system", SYSTEM], cwd=notebook("debian"), check=True, capture_output=True
    )
    packages = json.loads(shown.stdout)["targets"][SYSTEM]["packages"]
    return [package for package in packages if package["kind"] == "wheel"]


@cache
def wheel_files() -> tuple[Path, ...]:
    """The wheel files of the notebook for this machine, downloaded once and checked against their hashes."""
    folder = CACHE / "wheels"
    folder.mkdir(parents=True, exist_ok=True)

    def get(package: dict[str, object]) -> Path:
        target = folder / str(package["file"])
        if not target.exists() or hashlib.sha256(target.read_bytes()).hexdigest() != package["sha256"]:
            with urllib.request.urlopen(str(package["url"]), timeout=300) as answer:
                content = answer.read()
            if hashlib.sha256(content).hexdigest() != package["sha256"]:
                sys.exit(f"error: {package['url']} is not what the lock says")
            target.write_bytes(content)
        return target

    with ThreadPoolExecutor(8) as pool:
        return tuple(pool.map(get, chosen()))


@cache
def plain_python() -> str:
    """A Python of the environment's version that the machine has: what a uv venv is made with."""
    version = tomllib.loads((notebook("debian") / "pyproject.toml").read_text())["tool"]["nixgen"].get("python", "3.11")
    for name in (f"/usr/bin/python{version}", shutil.which(f"python{version}") or ""):
        if name and os.access(name, os.X_OK):
            return name
    return sys.executable
