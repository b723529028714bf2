from __future__ import annotations

import os
from pathlib import Path

import projects
import pytest

from nixgen.errors import MachineError, NixgenError, UserError
from nixgen.project import uvlock
from nixgen.project.project import find_project, read_text


def refused(folder: Path, kind: type[NixgenError] = UserError, *, lock: bool = True) -> str:
    with pytest.raises(kind) as caught:
        find_project(folder, lock=lock)
    return str(caught.value)


def test_the_project_is_found_from_a_folder_inside_it(tmp_path: Path) -> None:
    root = projects.make(tmp_path / "demo")
    inside = root / "src" / "demo"
    inside.mkdir(parents=True)
    found = find_project(inside)
    assert found.root == root
    assert found.name == "demo-app"
    assert found.requires_python == ">=3.11"
    assert found.has_lock
    assert found.path("uv.lock").read_text().startswith("version = 1")


def test_a_byte_order_mark_is_passed_over_as_uv_does(tmp_path: Path) -> None:
    root = projects.make(tmp_path, "\ufeff" + projects.PYPROJECT, "\ufeff" + projects.uv_lock(projects.SIX))
    found = find_project(root)
    assert found.name == "demo-app"
    assert found.lock_text().startswith("version = 1")


@pytest.mark.parametrize("name", ["uv.lock", "models.toml"])
def test_a_link_out_of_the_project_is_refused(tmp_path: Path, name: str) -> None:
    root = projects.make(tmp_path / "demo")
    (root / name).touch()
    elsewhere = tmp_path / "elsewhere"
    (root / name).replace(elsewhere)
    (root / name).symlink_to("../elsewhere")
    for lock in (True, False):
        assert refused(root, lock=lock) == (
            f"{name}: is a link out of the project ({elsewhere}), which neither a teammate nor Nix has\n"
            "  hint: put the file itself in the place of the link"
        )
    elsewhere.rename(root / "inside")
    (root / name).unlink()
    (root / name).symlink_to("inside")
    assert find_project(root).has_lock


def test_a_workspace_member_belongs_to_its_workspace(tmp_path: Path) -> None:
    workspace = '[tool.uv.workspace]\nmembers = ["packages/*"]\nexclude = ["packages/apart"]\n'
    root = projects.make(tmp_path, projects.PYPROJECT + workspace)
    member = projects.make(root / "packages" / "one")
    apart = projects.make(root / "packages" / "apart")
    deep = projects.make(root / "packages" / "one" / "vendor")
    assert find_project(member).root == root
    assert find_project(apart).root == apart
    assert find_project(deep).root == deep


def test_a_workspace_without_a_project_is_named_after_its_folder(tmp_path: Path) -> None:
    root = projects.make(tmp_path / "My Work", "[tool.uv.workspace]\nmembers = []\n")
    assert find_project(root).name == "my-work"


def test_no_project_at_all(tmp_path: Path) -> None:
    assert refused(tmp_path) == (
        f"neither {tmp_path} nor a folder above it has a pyproject.toml and a uv.lock\n"
        "  hint: go to a uv project, or make one: uv init"
    )
    assert refused(tmp_path / "gone") == f"{tmp_path / 'gone'}: does not exist"
    file = tmp_path / "file"
    file.touch()
    assert refused(file) == f"{file}: is not a folder"


def test_a_missing_lock_is_told_to_all_but_init(tmp_path: Path) -> None:
    root = projects.make(tmp_path)
    (root / "uv.lock").unlink()
    told = "uv.lock: is missing\n  hint: make it: uv lock"
    assert refused(root) == f"{told} (nixgen init, which comes first, does it, too)"
    (root / "pyproject.toml").write_text((root / "pyproject.toml").read_text() + "\n[tool.nixgen]\n")
    assert refused(root) == told
    assert not find_project(root, lock=False).has_lock


def test_unreadable_toml_is_told_with_its_line(tmp_path: Path) -> None:
    root = projects.make(tmp_path, '[project]\nname = "demo\n')
    assert refused(root).startswith("pyproject.toml: is not TOML that can be read: ")
    assert "line 2" in refused(root)
    root = projects.make(tmp_path, lock="version = \n")
    assert refused(root).startswith("uv.lock: is not TOML that can be read: ")
    assert refused(root).endswith(
        "(at line 1, column 11)\n  hint: "
        "restore it: git checkout HEAD -- uv.lock && uv lock (newer versions of all: rm uv.lock && uv lock)"
    )


@pytest.mark.parametrize("version", ["2", '"1"', "0"])
def test_an_unknown_lock_version_is_refused_with_the_command_that_mends_it(tmp_path: Path, version: str) -> None:
    root = projects.make(tmp_path, lock=f"version = {version}\n")
    shown = version.replace('"', "'")
    assert refused(root) == (
        f"uv.lock: version: {shown} is not a version that this nixgen knows; it knows 1\n"
        "  hint: use a nixgen and a uv that know it (pip install --upgrade nixgen uv), "
        "or write it again: rm uv.lock && uv lock"
    )


def test_an_empty_lock_is_refused(tmp_path: Path) -> None:
    said = refused(projects.make(tmp_path, lock="\n"))
    assert said.startswith("uv.lock: version: nothing is not a version that this nixgen knows; it knows 1\n")


def test_a_table_of_another_kind_is_refused(tmp_path: Path) -> None:
    said = refused(projects.make(tmp_path, ""))
    assert said.startswith("pyproject.toml: has no [project] table\n  hint: write [project] into it, with name = ")
    root = projects.make(tmp_path, "tool = 1\n")
    assert refused(root) == "pyproject.toml: tool: is not a table\n  hint: write it as [tool]"
    root = projects.make(tmp_path, "[project]\nname = 1\nrequires-python = 3.11\n")
    assert refused(root) == (
        'pyproject.toml: project.name: is not a string\n  hint: write it in quotes: name = "…"\n'
        'pyproject.toml: project.requires-python: is not a string\n  hint: write it in quotes: requires-python = "…"'
    )


def test_files_that_cannot_be_read_are_no_traceback(tmp_path: Path) -> None:
    root = projects.make(tmp_path)
    (root / "pyproject.toml").write_bytes(b'[project]\nname = "\xff"\n')
    assert refused(root) == "pyproject.toml: is not UTF-8 text (byte 18)\n  hint: save it as UTF-8"
    (root / "pyproject.toml").unlink()
    (root / "pyproject.toml").mkdir()
    assert refused(root) == "pyproject.toml: is a folder, not a file\n  hint: move it elsewhere"


def test_a_file_without_permission_is_the_machines_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "uv.lock"

    def denied(*_: object) -> int:
        raise PermissionError(13, os.strerror(13), str(path))

    monkeypatch.setattr(os, "open", denied)
    said = r"uv\.lock: cannot be read: Permission denied\n  hint: make it readable: chmod u\+r uv\.lock$"
    with pytest.raises(MachineError, match=said):
        read_text(path, "uv.lock")


def test_only_local_packages_are_parsed() -> None:
    lock = uvlock.read(projects.uv_lock(projects.NUMPY, projects.SIX))
    assert [package["name"] for package in lock.local] == ["demo-app"]
    assert lock.head["requires-python"] == ">=3.11"


CHILD = '[project]\nname = "demo"\nversion = "1"\n'


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"p/pyproject.toml": "[tool.uv]\nno-build = true"}, {"no-build": True}),
        ({"p/uv.toml": "no-build = true"}, {"no-build": True}),
        ({"p/uv.toml": "no-build = true", "p/pyproject.toml": "[tool.uv]\nno-binary = true"}, {"no-build": True}),
        ({"p/pyproject.toml": "[project]\nname = 'a'", "p/q/pyproject.toml": ""}, {}),
        # As the workspace of another project has it, and not this one.
        ({"p/pyproject.toml": "[tool.uv]\nconstraint-dependencies = ['a']\nsources = {}"}, {}),
        # Nothing of what a teammate does not have.
        ({"uv.toml": "no-build = true"}, {}),
        # A table of its own ends the search, uv.toml beside it comes before it.
        (
            {"p/uv.toml": "no-build = true", "p/q/d/pyproject.toml": f"{CHILD}[tool.uv]\npackage = false"},
            {"package": False},
        ),
        (
            {
                "p/q/d/uv.toml": "no-build = true\nbuild-constraint-dependencies = ['b']",
                "p/q/d/pyproject.toml": f"{CHILD}[tool.uv]\nno-binary = true\nconstraint-dependencies = ['a']",
            },
            {"no-build": True, "constraint-dependencies": ["a"]},
        ),
    ],
)
def test_which_settings_of_uv_count(tmp_path: Path, files: dict[str, str], expected: dict[str, object]) -> None:
    """uv's rules (tried with uv 0.13): p is a repository, q a folder, d the project."""
    (tmp_path / "p/.git").mkdir(parents=True)
    for name, text in {"p/q/d/pyproject.toml": CHILD, **files}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert find_project(tmp_path / "p/q/d", lock=False).uv_settings() == expected


def test_paths_in_settings_above_are_of_that_folder(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "d").mkdir()
    (tmp_path / "d/pyproject.toml").write_text(CHILD)
    (tmp_path / "uv.toml").write_text(
        'find-links = ["wheels", "https://example.org"]\n[[index]]\nname = "own"\nurl = "files"\n'
    )
    found = find_project(tmp_path / "d", lock=False).uv_settings()
    assert found["find-links"] == [f"{tmp_path}/wheels", "https://example.org"]
    assert found["index"] == [{"name": "own", "url": f"{tmp_path}/files"}]
