"""Scripts with inline metadata (PEP 723): alone in a folder and beside a project, their settings, locks and digests."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.index import Index, serve
from support.initproject import PYPROJECT, runner, uv_lock
from support.wheels import make_wheel

from nixgen.errors import UserError
from nixgen.generate import why
from nixgen.generate.digest import of_script
from nixgen.init import setup
from nixgen.project import scripts
from nixgen.project.project import find_project
from nixgen.resolve import environments, uv
from nixgen.resolve.model import FileHash, Target

if TYPE_CHECKING:
    from support.nix import Nix

STALE = Path(__file__).resolve().parents[2] / "nix" / "stale.nix"
LINUX = Target("x86_64-linux", "3.12")
CODE = "import sys\nprint(sys.argv)\n"
LOCK = 'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n'


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    folder = tmp_path / "index"
    for version in ("1.0", "2.0"):
        make_wheel(folder, "plain", version)
    make_wheel(folder, "needy", "1.0", requires=["plain<2"])
    with serve(folder) as served:
        yield served


def script(root: Path, path: str, block: str, lock: str | None = LOCK) -> Path:
    """A script with this metadata, and a lock beside it."""
    lines = "".join(f"# {line}".rstrip() + "\n" for line in block.splitlines())
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(f"#!/usr/bin/env python\n# /// script\n{lines}# ///\n{CODE}")
    if lock is not None:
        (root / f"{path}.lock").write_text(lock)
    return root


def on(index: Index, *dependencies: str, more: str = "[tool.nixgen]\n") -> str:
    named = ", ".join(f'"{name}"' for name in dependencies)
    own = f'[[tool.uv.index]]\nname = "own"\nurl = "{index.simple}"\ndefault = true\n'
    return f'requires-python = ">=3.11"\ndependencies = [{named}]\n\n{own}\n{more}'


def test_a_script_in_a_folder_of_folders_is_named_in_the_settings(tmp_path: Path) -> None:
    """The setting stands in the place of what is found by listing folders, and needs no [tool.nixgen] in the script."""
    root = tmp_path
    text = '[project]\nname = "demo"\nversion = "1"\n[tool.nixgen]\n'
    (root / "pyproject.toml").write_text(text)
    (root / "uv.lock").write_text(LOCK)
    for path in ("near.py", "tools/other.py", "tools/deep/report.py"):
        script(root, path, "dependencies = []\n[tool.nixgen]\n" if path == "near.py" else "dependencies = []\n")
    assert list(find_project(root).scripts) == ["near"]
    deep = root / "tools/deep/report.py"
    (root / "pyproject.toml").write_text(f'{text}scripts = ["tools/deep/report.py"]\n')
    assert list(find_project(root).scripts) == ["report"]
    (root / "tools/deep/report.py.lock").unlink()
    with pytest.raises(
        UserError, match=r"tools/deep/report\.py\.lock: is missing\n +hint: make it: uv lock --script tools"
    ):
        find_project(root)
    deep.unlink()
    with pytest.raises(UserError, match=r"tool\.nixgen\.scripts: tools/deep/report\.py is missing"):
        find_project(root)
    (root / "b.sh").write_text("")
    (root / "pyproject.toml").write_text(f'{text}scripts = ["b.sh"]\n')
    with pytest.raises(UserError, match=r'tool\.nixgen\.scripts\[0\]: "b\.sh" is not a Python script'):
        find_project(root)


@pytest.mark.parametrize(
    ("said", "path", "written"),
    [
        (None, "near.py", {}),
        (None, "tools/near.py", {}),
        (None, "a/b/deep.py", {"scripts": ["a/b/deep.py", "own.py"]}),
        (["own.py"], "near.py", {"scripts": ["near.py", "own.py"]}),
        (["near.py"], "near.py", {}),
    ],
)
def test_init_names_a_script_that_nothing_else_finds(
    tmp_path: Path, said: list[str] | None, path: str, written: dict[str, object]
) -> None:
    script(tmp_path, "own.py", "dependencies = []\n[tool.nixgen]\n")
    script(tmp_path, path, "dependencies = []\n", None)
    more = "" if said is None else f"scripts = {json.dumps(said)}\n"
    (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "demo"\nversion = "1"\n[tool.nixgen]\n{more}')
    project = find_project(tmp_path, lock=False)
    assert setup._listed(project, tmp_path / path) == written


def locked(root: Path, path: str, block: str) -> Path:
    uv.lock(script(root, path, block, None), script=path)
    return root


def refused(root: Path, **options: Path) -> list[str]:
    with pytest.raises(UserError) as caught:
        find_project(root, **options)  # type: ignore[arg-type]
    return [str(problem) for problem in caught.value.problems]


def served(root: Path, hashes: dict[str, FileHash] | None = None) -> dict[str, list[str]]:
    project = find_project(root)
    found, left = environments.select(
        project, environments.export(project, hashes or {}), [LINUX], "2.36", hashes or {}
    )
    assert [problem for one in (*found, *left) for problem in one.problems] == []
    return {one.environment: [f"{package.name} {package.version}" for package in one.packages] for one in found}


@pytest.mark.parametrize(
    ("text", "block"),
    [
        ("# /// script\n# a = 1\n#\n# b = 2\n# ///\nx\n", "a = 1\n\nb = 2\n"),
        ("x\r\n# /// script\r\n# a = 1\r\n# ///\r\n", "a = 1\n"),
        ("# /// other\n# a = 1\n# ///\n", None),
        ("# /// script\n# a = 1\n", None),
        ("print('# /// script')\n", None),
    ],
)
def test_the_block_of_a_script(text: str, block: str | None) -> None:
    assert scripts.block(text) == block
    if block is not None:
        assert scripts.with_block(text, block) == text
        assert scripts.block(scripts.with_block(text, block + "c = '\\\\1'\n")) == block + "c = '\\\\1'\n"


def test_a_folder_of_scripts_is_a_project(tmp_path: Path) -> None:
    script(tmp_path, "b-report.py", 'requires-python = ">=3.12"\n[tool.nixgen]\nbase = "debian"\npython = "3.13"')
    script(tmp_path, "a.py", '[tool.nixgen]\nbase = "debian"\nsystems = ["x86_64-linux"]\nsmoke = ["true"]')
    script(tmp_path, "theirs.py", "dependencies = []")
    (tmp_path / "unlocked.py").write_text("# /// script\n# [tool.nixgen]\n# ///\n")
    project = find_project(tmp_path)
    assert (project.settings.base, project.settings.python, project.settings.systems) == ("debian", "3.13", None)
    assert (list(project.settings.environments), project.lock) == (["a", "b-report"], "a.py.lock")
    assert project.requires_python == ">=3.12"
    assert project.of("a").settings.smoke == ("true",)
    assert project.of("b-report").lock == "b-report.py.lock"
    assert project.locks == ("a.py.lock", "b-report.py.lock")


def test_scripts_must_agree(tmp_path: Path) -> None:
    script(tmp_path, "a.py", '[tool.nixgen]\npython = "3.12"')
    script(tmp_path, "b.py", '[tool.nixgen]\npython = "3.13"\nlibraries = ["x"]')
    assert refused(tmp_path) == [
        "b.py: tool.nixgen.python: is '3.13', and a.py says '3.12'\n"
        "  hint: all scripts and the project share it: make them the same, or take it out here"
    ]
    (tmp_path / "pyproject.toml").write_text(PYPROJECT + '[tool.nixgen]\npython = "3.12"\n')
    (tmp_path / "uv.lock").write_text(uv_lock("py3-none-any"))
    assert [problem.split(":")[1] for problem in refused(tmp_path)] == [" tool.nixgen.python", " tool.nixgen.libraries"]


@pytest.mark.parametrize(
    ("path", "block", "told"),
    [
        ("a.py", "a = [", "a.py: its metadata cannot be read"),
        ("a.py", '[tool.nixgen]\ngroups = ["x"]', "a.py: tool.nixgen.groups: is not a setting of a script"),
        ("a.py", "[tool.nixgen]\nbaze = 1", "tool.nixgen.baze: is not a setting of nixgen"),
        ("default.py", "[tool.nixgen]", "default.py: default is the name of something else in default.nix"),
        ("1.py", "[tool.nixgen]", "1.py: the name of a script's environment begins with a letter"),
    ],
)
def test_what_is_wrong_is_said_of_the_script(tmp_path: Path, path: str, block: str, told: str) -> None:
    script(tmp_path, path, block + "\n" + ("" if "nixgen" in block else "# nixgen"))
    assert told in refused(tmp_path)[0]


def test_two_of_one_name(tmp_path: Path) -> None:
    text = PYPROJECT + "[tool.nixgen.environments.a]\n"
    (tmp_path / "pyproject.toml").write_text(text)
    (tmp_path / "uv.lock").write_text(uv_lock("py3-none-any"))
    script(script(tmp_path, "a.py", "[tool.nixgen]"), "tools/a.py", "[tool.nixgen]")
    assert [problem.splitlines()[0] for problem in refused(tmp_path)] == [
        "a.py: its environment would be called a, as that of tool.nixgen.environments.a",
        "tools/a.py: its environment would be called a, as that of tool.nixgen.environments.a",
    ]


def test_a_script_in_a_folder_of_a_project_is_the_projects(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "uv.lock").write_text(uv_lock("py3-none-any"))
    script(tmp_path, "tools/report.py", "[tool.nixgen]")
    assert find_project(tmp_path / "tools").root == tmp_path
    assert list(find_project(tmp_path).settings.environments) == ["report"]


def test_each_has_what_uv_locked_for_it(tmp_path: Path, index: Index) -> None:
    root = tmp_path / "folder"
    locked(root, "new.py", on(index, "plain"))
    locked(root, "old.py", on(index, "needy"))
    assert served(root) == {"": ["plain 2.0"], "new": ["plain 2.0"], "old": ["needy 1.0", "plain 1.0"]}
    with uv.nowhere() as nowhere:
        command = [uv.binary(), "export", "--script", "old.py", "--frozen", "--no-header", "--no-hashes"]
        done = subprocess.run(
            command, cwd=root, env=uv.offline_environment(nowhere), capture_output=True, text=True, check=True
        )
    assert [line for line in done.stdout.splitlines() if "==" in line] == ["needy==1.0", "plain==1.0"]


def test_indexes_sources_and_options_of_the_metadata_count(tmp_path: Path, index: Index) -> None:
    root = tmp_path / "folder"
    (root / "libs/own").mkdir(parents=True)
    (root / "libs/own/own.py").touch()
    (root / "libs/own/pyproject.toml").write_text('[project]\nname = "own"\nversion = "3.0"\n')
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / "uv.lock").write_text(uv_lock("py3-none-any"))
    more = '[tool.uv]\nresolution = "lowest-direct"\n[tool.uv.sources]\n'
    more += 'own = { path = "../libs/own", editable = true }\n[tool.nixgen]\n'
    locked(root, "tools/report.py", on(index, "own", "plain>=1.0", more=more))
    assert served(root) == {"": ["plain 1.0"], "report": ["own 3.0", "plain 1.0"]}
    view = find_project(root).of("report")
    (package,) = (
        one
        for found in environments.select(view, environments.export(view, {}), [LINUX], "2.36", {})[0]
        for one in found.packages
        if one.name == "own"
    )
    assert (package.kind, package.path) == ("directory", "libs/own")


def test_a_lock_that_is_older_than_the_metadata(tmp_path: Path, index: Index) -> None:
    root = locked(tmp_path / "folder", "report.py", on(index, "plain"))
    text = (root / "report.py").read_text().replace('"plain"', '"plain", "needy"')
    (root / "report.py").write_text(text)
    with pytest.raises(UserError) as caught:
        served(root)
    (problem,) = caught.value.problems
    assert str(problem) == (
        "report.py.lock: is out of date with report.py: the dependencies changed (new: needy)\n"
        "  hint: bring it up to date: uv lock --script report.py"
    )
    (root / "report.py").write_text(text.replace("requires-python", "# requires-python"))


def test_hashes_that_the_index_does_not_give(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "index", "plain", "1.0")
    with serve(tmp_path / "index", hashes=False) as index:
        root = locked(tmp_path / "folder", "report.py", on(index, "plain"))
        known = {index.url(wheel): FileHash(index.url(wheel), "1" * 64, 9)}
        assert served(root, known) == {"": ["plain 1.0"], "report": ["plain 1.0"]}


def test_a_python_that_a_script_does_not_allow(tmp_path: Path, index: Index) -> None:
    block = on(index, "plain").replace(">=3.11", ">=3.13")
    root = locked(tmp_path / "folder", "report.py", block)
    with pytest.raises(UserError, match=r"^report.py: requires-python: \">=3.13\" does not allow the Python"):
        served(root)


def test_why_asks_the_lock_of_the_script(tmp_path: Path, index: Index) -> None:
    root = locked(tmp_path / "folder", "report.py", on(index, "needy"))
    assert "report.py → needy → plain" in why.as_text(why.why(find_project(root), "plain", [LINUX], "report"))


def test_init_of_a_script_alone(tmp_path: Path, index: Index, capsys: pytest.CaptureFixture[str]) -> None:
    root = script(tmp_path / "jobs", "report.py", on(index, "plain", more=""), None)
    said = runner(capsys)(root / "report.py", ci="none", python="3.13")
    assert said[1] == "There is no report.py.lock: running uv lock --script report.py."
    text = (root / "report.py").read_text()
    assert '# [tool.nixgen]\n# base = "nixpkgs"\n# python = "3.13"\n# ///\nimport sys' in text
    assert text.startswith("#!/usr/bin/env python\n# /// script\n")
    assert not (root / "pyproject.toml").exists()
    nix = (root / "default.nix").read_text()
    assert 'script = "report.py";' in nix
    assert f'"report.py" = "{of_script(text.encode())}";' in nix
    assert runner(capsys)(root, ci="none")[-1] == "Everything is up to date."
    second = script(root, "second.py", on(index, "plain<2", more=""), None)
    runner(capsys)(second / "second.py", ci="none")
    assert '# python = "3.13"' in (root / "second.py").read_text()
    assert 'script = "second.py";' in (root / "default.nix").read_text()


def test_init_of_a_script_beside_a_project(tmp_path: Path, index: Index, capsys: pytest.CaptureFixture[str]) -> None:
    root = script(tmp_path / "web", "tools/report.py", on(index, "plain", more=""), None)
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / "uv.lock").write_text(uv_lock("py3-none-any"))
    runner(capsys)(root / "tools/report.py", ci="none")
    assert "#\n# [tool.nixgen]\n# ///\n" in (root / "tools/report.py").read_text()
    assert '[tool.nixgen]\nbase = "nixpkgs"\n' in (root / "pyproject.toml").read_text()
    assert 'script = "tools/report.py";' in (root / "default.nix").read_text()
    (root / "bare.py").write_text(CODE)
    with pytest.raises(UserError, match=r"bare.py: has no script metadata \(PEP 723: # /// script\)"):
        runner(capsys)(root / "bare.py", ci="none")


def test_nix_sees_a_change_of_the_metadata_and_none_of_the_code(nix: Nix, tmp_path: Path) -> None:
    texts = ("# /// script\n# a = 1\n# ///\nx = 1\n", "\r\n# /// script\r\n# a = 1\r\n# ///\r\n", "x = 1\n", "")
    for number, text in enumerate(texts):
        (tmp_path / f"a{number}.py").write_bytes(text.encode())
    locks = {f"a{number}.py": of_script(text.encode()) for number, text in enumerate(texts)}
    (tmp_path / "locks.json").write_text(json.dumps(locks))
    asked = (
        f"import {STALE} {{ root = {tmp_path}; locks = builtins.fromJSON (builtins.readFile {tmp_path}/locks.json); }}"
    )
    assert nix.evaluate(asked) == []
    (tmp_path / "a0.py").write_text(texts[0] + "y = 2\n")
    (tmp_path / "a1.py").write_text(texts[1].replace("a = 1", "a = 2"))
    assert nix.evaluate(asked) == ["a1.py"]
