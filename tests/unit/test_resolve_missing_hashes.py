"""Locks without hashes: uv exports them without the network, and names the same files."""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from support.index import Index
from support.wheels import make_wheel

from nixgen.project.project import Project, find_project
from nixgen.resolve import missing_hashes, uv
from nixgen.resolve.model import FileHash, Target
from nixgen.resolve.resolution import resolve

Serve = Callable[..., Index]
ENTRY = (
    '[[package]]\nname = "a"\nsource = {{ registry = "https://i.example.org/simple" }}\n{sdist}wheels = [\n{wheels}]\n'
)
WITH = '    { url = "https://f.example.org/a.whl", hash = "sha256:11", size = 1 },\n'
WITHOUT = '    { url = "https://f.example.org/b.whl", size = 2 },\n'
SHA = "ab" * 32


def test_a_lock_with_all_hashes_is_left_alone() -> None:
    sdist = 'sdist = { url = "https://f.example.org/a.tar.gz", hash = "sha256:22" }\n'
    assert missing_hashes.filled(ENTRY.format(sdist=sdist, wheels=WITH), {}) is None


def test_what_is_missing_is_filled_in() -> None:
    text = ENTRY.format(sdist='sdist = { url = "https://f.example.org/a.tar.gz" }\n', wheels=WITH + WITHOUT)
    url = "https://f.example.org/b.whl"
    made = missing_hashes.filled(text, {url: FileHash(url, SHA, 2)})
    assert made is not None
    (package,) = tomllib.loads(made)["package"]
    assert package["sdist"] == {"url": "https://f.example.org/a.tar.gz", "hash": f"sha256:{missing_hashes.UNKNOWN}"}
    assert package["wheels"] == [
        {"url": "https://f.example.org/a.whl", "hash": "sha256:11", "size": 1},
        {"url": url, "hash": f"sha256:{SHA}", "size": 2},
    ]


@pytest.fixture
def project(tmp_path: Path, index: Serve) -> Project:
    """A workspace with a member, a folder outside, and an index that gives no hashes, which is gone by now."""
    (tmp_path / "files").mkdir()
    make_wheel(tmp_path / "files", "six", "1.0")
    served = index(tmp_path / "files", hashes=False)
    for name in ("root/libs/member", "beside"):
        (tmp_path / name).mkdir(parents=True)
        text = f'[project]\nname = "{name.rpartition("/")[2]}"\nversion = "1"\nrequires-python = ">=3.11"\n'
        (tmp_path / name / "pyproject.toml").write_text(text)
    root = tmp_path / "root"
    (root / "pyproject.toml").write_text(
        '[project]\nname = "demo"\nversion = "1"\nrequires-python = ">=3.11"\n'
        'dependencies = ["six", "member", "beside"]\n'
        '[tool.uv.workspace]\nmembers = ["libs/*"]\n'
        '[tool.uv.sources]\nmember = { workspace = true }\nbeside = { path = "../beside" }\n'
        f'[[tool.uv.index]]\nurl = "{served.simple}"\ndefault = true\n'
    )
    subprocess.run([uv.binary(), "lock", "--quiet"], cwd=root, check=True)
    served.requests.clear()
    return find_project(root)


def test_uv_exports_the_shadow_without_the_network(project: Project) -> None:
    before = {path: path.read_bytes() for path in project.root.rglob("*") if path.is_file()}
    (resolution,) = resolve(project, [Target("x86_64-linux", "3.11")], "2.36", {})
    packages = {package.name: package for package in resolution.packages}
    assert {name: package.path for name, package in packages.items()} == {
        "beside": "../beside",
        "member": "libs/member",
        "six": None,
    }
    assert packages["six"].sha256 is None
    assert "uv.lock has no SHA-256 of six-1.0-py3-none-any.whl" in [problem.what for problem in resolution.problems]
    url = packages["six"].url
    assert url is not None
    (again,) = resolve(project, [Target("x86_64-linux", "3.11")], "2.36", {url: FileHash(url, SHA, 7)})
    six = next(package for package in again.packages if package.name == "six")
    assert (six.sha256, six.size) == (SHA, 7)
    assert {path: path.read_bytes() for path in project.root.rglob("*") if path.is_file()} == before


def test_the_shadow_is_gone_afterwards(project: Project) -> None:
    with missing_hashes.exportable(project, {}) as folder:
        assert folder != project.root
        assert (folder / "libs/member/pyproject.toml").is_file()
    assert not folder.exists()


def test_a_project_with_all_hashes_needs_no_shadow(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "d"\nversion = "1"\nrequires-python = ">=3.11"\n')
    subprocess.run([uv.binary(), "lock", "--quiet"], cwd=tmp_path, check=True)
    with missing_hashes.exportable(find_project(tmp_path), {}) as folder:
        assert folder == tmp_path
