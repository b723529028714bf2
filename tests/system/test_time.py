"""Time passes: an index has newer releases of everything, and what is pinned is still what is installed."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.index import serve
from support.nix import ROOT
from support.wheels import make_wheel, sha256

# A build backend in the project itself: it makes the wheel, editable or not, without any other package.
BACKEND = """
import base64, hashlib, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "tool-1.0-py3-none-any.whl"
    info = "tool-1.0.dist-info"
    files = {
        f"{info}/METADATA": "Metadata-Version: 2.1\\nName: tool\\nVersion: 1.0\\nRequires-Dist: alpha>=1\\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    files[f"{info}/entry_points.txt"] = "[console_scripts]\\ntool = tool:main\\n"
    files[f"{info}/RECORD"] = "".join(f"{path},,\\n" for path in files)
    with zipfile.ZipFile(f"{folder}/{name}", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return name

build_editable = build_wheel
"""
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "tool"
version = "1.0"
dependencies = ["alpha>=1"]
"""
PREPARE = """
set -eu
root=$1; . "$root/.ci/lib.sh"
prepare_venv
"$venv/bin/pip" list --format=freeze
"""


def make_clone(tmp_path: Path) -> tuple[Path, Path]:
    """A clone of a tool whose lock is a year old, and the folder of wheels that its index has by now."""
    root, wheels = tmp_path / "clone", tmp_path / "wheels"
    for folder in (root / ".ci", wheels):
        folder.mkdir(parents=True)
    old = [make_wheel(wheels, "alpha", "1.0", requires=["beta>=1"]), make_wheel(wheels, "beta", "1.0")]
    # What is new wants something that is not in the lock, and what is pinned no longer fits with it.
    make_wheel(wheels, "alpha", "2.0", requires=["beta>=2", "gamma"])
    make_wheel(wheels, "beta", "2.0", requires=["gamma"])
    make_wheel(wheels, "gamma", "1.0")
    shutil.copy(ROOT / ".ci" / "lib.sh", root / ".ci" / "lib.sh")
    (root / "backend.py").write_text(BACKEND)
    (root / "pyproject.toml").write_text(PYPROJECT)
    lock = "".join(f"{wheel.name.split('-')[0]}==1.0 \\\n    --hash=sha256:{sha256(wheel)}\n" for wheel in old)
    (root / "requirements.lock").write_text(lock)
    (root / ".ci" / "requirements-dev.lock").write_text(lock)
    return root, wheels


@pytest.mark.heavy
def test_a_newer_release_of_everything_changes_nothing(tmp_path: Path) -> None:
    """The first command of the README failed eight days after it landed: pip resolved the lock anew."""
    root, wheels = make_clone(tmp_path)
    with serve(wheels) as index:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "VIRTUAL_ENV"))}
        env = {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index.simple, "PYTHON": sys.executable}
        done = subprocess.run(
            ["sh", "-c", PREPARE, "sh", str(root)], env=env, capture_output=True, text=True, check=False, cwd=tmp_path
        )
    assert done.returncode == 0, done.stderr
    assert {"alpha==1.0", "beta==1.0"} <= set(done.stdout.split())
    assert "gamma" not in done.stdout
    assert not [path for path in index.requests if "2.0" in path]


@pytest.mark.heavy
def test_what_the_readme_installs_is_what_the_lock_has(tmp_path: Path) -> None:
    """``uv tool install`` resolves, and takes the newest that fits, unless it is given the lock."""
    command = next(line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("uv tool install"))
    root, wheels = make_clone(tmp_path)
    with serve(wheels) as index:
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("UV_", "VIRTUAL_ENV"))},
            **{f"UV_{name}": str(tmp_path / name) for name in ("TOOL_DIR", "TOOL_BIN_DIR", "CACHE_DIR")},
            "UV_DEFAULT_INDEX": index.simple,
            "UV_PYTHON": sys.executable,
        }
        done = subprocess.run(shlex.split(command), env=env, capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 0, done.stderr
    assert {"alpha==1.0", "beta==1.0"} <= set(done.stderr.split())
    assert "gamma" not in done.stderr
    assert not [path for path in index.requests if "2.0" in path]


@pytest.mark.parametrize(
    ("lock", "groups"), [("requirements.lock", ()), (".ci/requirements-dev.lock", ("dev",))], ids=["demo", "tests"]
)
def test_a_lock_names_all_that_is_needed(lock: str, groups: tuple[str, ...]) -> None:
    """Nothing is resolved, so what a lock lacks would be missing: it has every requirement of every package."""
    import tomllib
    from importlib import metadata

    pinned = {}
    for line in (ROOT / lock).read_text().splitlines():
        if "==" in line and not line.startswith((" ", "#")):
            requirement = Requirement(line.removesuffix("\\").strip())
            if requirement.marker is None or requirement.marker.evaluate():
                pinned[canonicalize_name(requirement.name)] = next(iter(requirement.specifier)).version
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [
        *project["project"]["dependencies"],
        *(one for group in groups for one in project["dependency-groups"][group]),
    ]
    left = [(Requirement(text), "") for text in wanted]
    seen = set()
    environment = {str(key): str(value) for key, value in default_environment().items()}
    while left:
        requirement, extra = left.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({**environment, "extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"{lock} lacks {name}"
        assert requirement.specifier.contains(pinned[name], prereleases=True), f"{lock}: {name} is {pinned[name]}"
        for each in ("", *requirement.extras):
            if (name, each) not in seen:
                seen.add((name, each))
                left += [(Requirement(text), each) for text in metadata.requires(name) or ()]
