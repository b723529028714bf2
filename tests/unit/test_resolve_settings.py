"""Resolving and what is around it: a stale lock, uv, groups and extras, targets that are left out."""

# ruff: noqa: E501 -- entries of lock files are as long as they are
from __future__ import annotations

import os
from pathlib import Path

import pytest
from projects import INDEX, NUMPY, PYPROJECT, SIX, make, package, uv_lock, wheel
from support.resolving import resolved

from nixgen.bases.python import targets
from nixgen.errors import UserError
from nixgen.project.project import find_project
from nixgen.resolve import uv
from nixgen.resolve.resolution import resolve, split_served


def refused(root: Path) -> str:
    with pytest.raises(UserError) as caught:
        resolved(root)
    return str(caught.value)


def test_a_stale_lock_is_refused_with_what_differs(tmp_path: Path) -> None:
    root = make(tmp_path, PYPROJECT.replace('"six"', '"six", "tqdm"'))
    assert refused(root) == (
        "uv.lock: is out of date with pyproject.toml: the dependencies of demo-app changed (new: tqdm)\n"
        "  hint: bring it up to date: uv lock"
    )


def test_neither_an_interpreter_nor_a_network_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh, stale = make(tmp_path / "fresh"), make(tmp_path / "stale", PYPROJECT.replace(', "numpy>=2"', ""))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    assert len(resolved(fresh).packages) == 2
    assert "the dependencies of demo-app changed (gone: numpy)" in refused(stale)


def test_the_callers_uv_settings_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path)
    before = resolved(root)
    for name, value in {"UV_INDEX_URL": INDEX, "UV_NO_DEV": "1", "UV_PROJECT": "/", "UV_PYTHON": "3.99"}.items():
        monkeypatch.setenv(name, value)
    assert resolved(root) == before
    environment = uv.offline_environment(tmp_path)
    assert {"UV_OFFLINE": "1", "UV_PYTHON_DOWNLOADS": "never"}.items() <= environment.items()
    assert "UV_PROJECT" not in environment


@pytest.mark.parametrize("columns", ["20", "200"])
def test_an_unknown_group_or_extra_names_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    root = make(tmp_path, PYPROJECT + '[tool.nixgen]\ngroups = ["nope"]\n')
    assert refused(root) == (
        "pyproject.toml: tool.nixgen.groups: Group `nope` is not defined in the project's `dependency-groups` table\n"
        "  hint: define it there, or take it out of groups"
    )
    root = make(tmp_path, PYPROJECT + '[tool.nixgen]\nextras = ["nope"]\n')
    assert refused(root) == (
        "pyproject.toml: tool.nixgen.extras: "
        "Extra `nope` is not defined in the `optional-dependencies` table for `demo-app`\n"
        "  hint: define it there, or take it out of extras"
    )


GROUPS = """
[dependency-groups]
dev = ["pytest"]
docs = ["sphinx"]
[project.optional-dependencies]
plot = ["pillow"]
"""


@pytest.mark.parametrize(
    ("setting", "names"),
    [
        ("", ["pytest"]),
        ("groups = []", []),
        ('groups = ["docs"]', ["sphinx"]),
        ('groups = ["dev", "docs"]', ["pytest", "sphinx"]),
        ('groups = []\nextras = ["plot"]', ["pillow"]),
        ("groups = []\nall-extras = true", ["pillow"]),
    ],
)
def test_groups_and_extras_are_those_of_the_settings(tmp_path: Path, setting: str, names: list[str]) -> None:
    others = [package(name, "1", wheel(f"{name}-1-py3-none-any.whl")) for name in ("pillow", "pytest", "sphinx")]
    more = (
        'provides-extras = ["plot"]\n[package.metadata.requires-dev]\ndev = [{ name = "pytest" }]\n'
        'docs = [{ name = "sphinx" }]\n[package.optional-dependencies]\nplot = [{ name = "pillow" }]\n'
        '[package.dev-dependencies]\ndev = [{ name = "pytest" }]\ndocs = [{ name = "sphinx" }]\n'
    )
    lock = uv_lock(
        more,
        NUMPY,
        *others,
        SIX,
        requires='{ name = "numpy", specifier = ">=2" }, { name = "pillow", marker = "extra == \'plot\'" }, { name = "six" }',
    )
    found = resolved(make(tmp_path, PYPROJECT + GROUPS + f"[tool.nixgen]\n{setting}\n", lock))
    assert [package.name for package in found.packages if package.name not in {"numpy", "six"}] == names


def test_a_requires_python_that_no_target_meets(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        resolve(find_project(make(tmp_path)), targets(find_project(tmp_path).settings, None, "3.9"), "2.36", {})
    assert str(caught.value) == (
        'pyproject.toml: project.requires-python: ">=3.11" does not allow the Python of the base, 3.9.25\n'
        '  hint: change requires-python, or set another python under [tool.nixgen]: python = "3.X"'
    )


def test_a_system_without_a_wheel_is_not_one_of_the_default_ones(tmp_path: Path) -> None:
    root = make(tmp_path, lock=uv_lock(NUMPY, package("six", "1.17.0", wheel("six-1.17.0-py3-none-win32.whl"))))
    project = find_project(root)
    everywhere = resolve(project, targets(project.settings, None, "3.11"), "2.36", {})
    assert split_served(everywhere) == (everywhere, ())
    arm = "six-1.17.0-py3-none-manylinux_2_17_aarch64.whl"
    root = make(tmp_path, lock=uv_lock(NUMPY, package("six", "1.17.0", wheel(arm))))
    served, dropped = split_served(resolve(project, targets(project.settings, None, "3.11"), "2.36", {}))
    assert [one.target.system for one in served] == ["aarch64-linux"]
    assert [one.target.system for one in dropped] == ["aarch64-darwin", "x86_64-darwin", "x86_64-linux"]


def test_no_child_is_left_when_one_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path)
    script = tmp_path / "uv"
    script.write_text("#!/bin/sh\necho 'error: no' >&2\nexit 2\n")
    script.chmod(0o755)
    monkeypatch.setattr(uv, "binary", lambda: os.fspath(script))
    assert refused(root) == "uv: no\n  hint: ask uv by itself: uv lock"


def test_a_file_that_uv_cannot_parse_is_told_in_its_words(tmp_path: Path) -> None:
    said = refused(make(tmp_path, PYPROJECT.replace('["six", "numpy>=2"]', '"six"')))
    assert said.startswith("uv: Failed to parse: pyproject.toml; TOML parse error at line 5, column 16; invalid type")
    assert "|" not in said
    lock = 'version = 1\nrequires-python = ">=3.11"\n[[package]]\nnaem = "x"\n'
    assert refused(make(tmp_path, lock=lock)) == (
        "uv: Failed to parse `uv.lock`; TOML parse error at line 3, column 1; missing field `name`\n"
        "  hint: write it again: uv lock"
    )
